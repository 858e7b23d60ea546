"""A part of the training images to choose settings by: the validation split stays unseen."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from normbench.data import cache
from normbench.data.dataset import Dataset, Split
from normbench.errors import UserError


def hold_out(data: Dataset, share: float) -> Dataset:
    """The dataset whose validation split is a part of the training split, which trains without it.

    The part is the same for every run: of each class so many images, at even distances in the order
    of the files. Both parts are copies in memory.

    Args:
        data: whose own validation split is left out.
        share: of each class's images, above 0 and below 1, rounded to whole images.

    Raises:
        UserError: if either part would have no image.
    """
    labels = data.train.labels
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(data.classes)):
        of_class = (labels == label).nonzero().flatten()
        count = round(share * len(of_class))
        places = (2 * torch.arange(count) + 1) * len(of_class) // (2 * max(1, count))
        held[of_class[places]] = True
    if not 0 < held.sum() < len(labels):
        raise UserError(
            f"data.held_out={share:g} leaves {int(held.sum())} of {len(labels)} training images "
            "held out: choose another share"
        )
    train, val = (Split(data.train.images[of], labels[of]) for of in (~held, held))
    digest = hashlib.sha256(f"{cache.digest(train)}{cache.digest(val)}".encode()).hexdigest()
    return replace(data, train=train, val=val, digest=digest)
