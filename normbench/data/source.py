"""What a raw dataset is. A source is a function that opens one and returns a Source.

To add a dataset, write such a function anywhere and name it in a data config::

    def my_dataset(*, root, download, image_size, subset="all"):   # mypackage/data.py
        return Source(classes=("cat", "dog"), splits={"train": …, "val": …}, fingerprint=…)

    source:                                                        # a data config
      _target_: mypackage.data.my_dataset
      _partial_: true
      subset: all            # settings of its own stand beside the target

Every source is called with these three and ignores those that it has no use for:

    root         folder of the raw data as the user gave it (Path), or None
    download     whether missing data may be fetched
    image_size   the side that images will be resized to, in pixels

Whatever is wrong with the data is raised as a UserError, in one line that names the culprit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from normbench.errors import UserError


class NotHere(UserError):
    """The data are not here, and were not to be fetched."""


class Images(Protocol):
    """One split of a raw dataset. Threads ask for different images at the same time."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> tuple[Image.Image | np.ndarray, int]:
        """Image i, of any size: a Pillow image or uint8 (H, W, 3) or (H, W); and its label."""
        ...

    def describe(self, i: int) -> str:
        """Image i in words, such as the path of its file, for error messages."""
        ...


@dataclass(frozen=True)
class Source:
    """A raw dataset, opened but not decoded.

    classes: a name for each label.
    splits: ``train`` and ``val``.
    fingerprint: changes whenever the raw data may have; prepared files are kept under it. None
        for data that is quicker to make again than to keep.
    identity: tells the data apart where the config cannot, because ``data.root`` decides what it
        is; unlike the fingerprint it is the same on every machine. None for named datasets.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Images]
    fingerprint: str | None
    identity: str | None = None
