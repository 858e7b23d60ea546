"""A few images of a dataset, for quick tries."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from normbench.data import cache
from normbench.data.dataset import Dataset, Split
from normbench.errors import UserError


def limited(data: Dataset, limit: int) -> Dataset:
    """The dataset with so many images of each split, or all where it has fewer.

    They are the same for every run: at even distances in the order of the files, one class after
    the other, so that each class keeps its share, to within an image. They are copies in memory.

    Raises:
        UserError: for a limit below 1.
    """
    if limit < 1:
        raise UserError(f"data.limit={limit} is not valid: give a number of images from 1, or null")
    train, val = (_some(split, limit) for split in (data.train, data.val))
    digest = hashlib.sha256(f"{cache.digest(train)}{cache.digest(val)}".encode()).hexdigest()
    return replace(data, train=train, val=val, digest=digest)


def _some(split: Split, limit: int) -> Split:
    total = len(split.labels)
    count = min(limit, total)
    places = (2 * torch.arange(count) + 1) * total // (2 * count)
    keep = split.labels.argsort(stable=True)[places].sort().values
    return Split(split.images[keep], split.labels[keep])
