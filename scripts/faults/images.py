"""Small folders of images to damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_folder(
    root: Path, count: int = 24, size: int = 24, classes: tuple[str, ...] = ("cat", "dog")
) -> None:
    """train/ and val/ of so many images of noise each, dealt to the classes in turn."""
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        for i in range(count):
            path = root / split / classes[i % len(classes)] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 256, (size, size, 3), np.uint8)).save(path)
