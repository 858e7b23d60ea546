"""A dataset without its images: how many there are, before anything is fetched or prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from normbench.data.dataset import Dataset, Split
from normbench.data.load import Datasets, open_source
from normbench.data.source import NotHere


class Outlook(Datasets):
    """What ``Datasets`` would open, with images that are nowhere (torch's device ``meta``).

    Attributes:
        absent: names of data that would have to be fetched first.
    """

    prepares = False

    def __init__(self) -> None:
        super().__init__()
        self.absent: set[str] = set()

    def open(self, settings: Mapping[str, Any], device: str = "cpu") -> Dataset:
        """As many images as there are; of what is absent, as many as fill any batch, and their
        number is not to be told.

        Raises:
            UserError: as ``load_dataset`` does, but for what only a look into the images shows.
        """
        name, size, channels = settings["name"], settings["image_size"], len(settings["mean"])
        try:
            source = open_source({**settings, "download": False})
        except NotHere:
            if not settings["download"]:
                raise
            self.absent.add(name)
            counts, identity = {"train": 10**9, "val": 1}, None
            classes: tuple[str, ...] = ("",) * 10
        else:
            counts = {split: len(images) for split, images in source.splits.items()}
            classes, identity = tuple(source.classes), source.identity
        if limit := settings.get("limit"):
            counts = {split: min(count, limit) for split, count in counts.items()}
        if share := settings.get("held_out"):
            held = round(share * counts["train"])  # to within an image a class
            counts = {"train": counts["train"] - held, "val": held}
        splits = {split: _nowhere(count, size, channels) for split, count in counts.items()}
        return Dataset(name=name, classes=classes, digest="", identity=identity, **splits)


def _nowhere(count: int, size: int, channels: int) -> Split:
    return Split(
        torch.empty(count, size, size, channels, dtype=torch.uint8, device="meta"),
        torch.empty(count, dtype=torch.int64, device="meta"),
    )
