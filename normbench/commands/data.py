"""Fetch, check and prepare a dataset, and say what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from normbench.config import DataConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = "normbench data data=imagenette data.root=DIR\n"


@dataclass
class Config:
    data: DataConfig = field(default_factory=DataConfig)


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_data
    from normbench.data.load import Datasets
    from normbench.settings import plain

    check_data(cfg.data)
    data = Datasets().open(plain(cfg.data))
    print(f"{data.name}: {len(data.classes)} classes, {tuple(data.train.images.shape[1:3])} pixels")
    for name, split in (("train", data.train), ("val", data.val)):
        counts = split.labels.bincount(minlength=len(data.classes)).tolist()
        each = ", ".join(f"{c} {n}" for c, n in zip(data.classes, counts, strict=True))
        print(f"  {name}: {len(split.labels):,} images ({each})")
    print(f"  digest of the prepared pixels: {data.digest[:16]}")
