"""The raw images of a dataset as files, which is what other trainers read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from normbench.data.folders import ImageFiles
from normbench.data.load import open_source

JPEG_QUALITY = 90


def images_as_files(settings: Mapping[str, Any], folder: Path) -> None:
    """Make folder/train and folder/val, each with one folder a class.

    Images that are files already are linked to; others are written as JPEG files.
    """
    source = open_source(settings)
    for name, images in source.splits.items():
        if isinstance(images, ImageFiles):
            path = Path(images.describe(0)).resolve()
            (folder / name).symlink_to(path.parents[1], target_is_directory=True)
            continue
        for label in range(len(source.classes)):
            (folder / name / f"{label:03}").mkdir(parents=True)
        for i in range(len(images)):
            image, label = images[i]
            if not isinstance(image, Image.Image):
                image = Image.fromarray(image)
            image.save(folder / name / f"{label:03}" / f"{i}.jpg", quality=JPEG_QUALITY)
