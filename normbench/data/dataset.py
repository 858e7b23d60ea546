"""A prepared dataset: uint8 tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """One part of a prepared dataset.

    images: uint8 (N, H, W, C), C = 3 or, of grey ones, 1; ``images.permute(0, 3, 1, 2)`` is
        channels last without a copy.
    labels: int64 (N,).
    """

    images: Tensor
    labels: Tensor

    def first(self, count: int) -> Split:
        """The first so many of its images."""
        return Split(self.images[:count], self.labels[:count])

    def to(self, device: torch.device | str) -> Split:
        """The same split on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset.

    classes: a name for each label.
    digest: sha256 over the tensors of both splits: exactly which pixels a run saw.
    identity: tells datasets apart whose settings do not, or None where the settings do.
    """

    name: str
    train: Split
    val: Split
    classes: tuple[str, ...]
    digest: str
    identity: str | None

    def first(self, count: int) -> Dataset:
        """The first images of each split, in the order of the files: for measuring speed."""
        return replace(self, train=self.train.first(count), val=self.val.first(count))

    def to(self, device: torch.device | str) -> Dataset:
        """The same dataset with its tensors on a device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))
