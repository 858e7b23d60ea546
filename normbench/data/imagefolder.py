"""Images of one's own, in folders."""

from __future__ import annotations

from pathlib import Path

from normbench.data.folders import (
    ImageFiles,
    class_folders,
    inventory,
    listed,
    require_folder,
    sha256,
)
from normbench.data.source import Source
from normbench.errors import UserError


def imagefolder(*, root: Path | None, download: bool, image_size: int) -> Source:
    """Any folder that holds train/ and val/ (or test/), each with one folder a class."""
    if root is None:
        raise UserError("data.root is not set: give the folder that holds train/ and val/")
    require_folder(root)
    evaluation = "val" if (root / "val").is_dir() or not (root / "test").is_dir() else "test"
    classes, train = class_folders(root / "train")
    other_classes, val = class_folders(root / evaluation)
    for here, there, names in (
        ("train", evaluation, set(classes) - set(other_classes)),
        (evaluation, "train", set(other_classes) - set(classes)),
    ):
        if names:
            raise UserError(
                f"class folders {listed(names)} are in {root / here} but not in {root / there}: "
                "both must have the same"
            )
    files = inventory(root, train + val)
    return Source(
        classes=tuple(classes),
        splits={"train": ImageFiles(train), "val": ImageFiles(val)},
        fingerprint=sha256(files),
        identity=sha256(sorted((path, size) for path, size, _ in files))[:16],
    )
