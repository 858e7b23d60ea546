"""What datasets share whose images are files: a folder a class, in a folder a split."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from normbench.errors import UserError


@dataclass(frozen=True)
class ImageFiles:
    """A split whose images are files; samples are (path, label)."""

    samples: list[tuple[str, int]]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        path, label = self.samples[i]
        with Image.open(path) as image:
            image.load()
        return image, label

    def describe(self, i: int) -> str:
        return self.samples[i][0]


def require_folder(root: Path) -> None:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"data.root={root} {what}: check data.root (or NORMBENCH_DATA)")


def class_folders(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """The names of the class folders, and (path, label) of every image in them."""
    from torchvision.datasets import ImageFolder

    if not folder.is_dir():
        raise UserError(
            f"{folder} does not exist: {folder.parent} must hold train/ and val/; check data.root "
            "(or NORMBENCH_DATA)"
        )
    try:
        found = ImageFolder(folder, allow_empty=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no class folders: check data.root") from error
    except OSError as error:
        raise UserError(f"cannot read {folder} ({error}): check its permissions") from error
    empty = {found.classes[i] for i in set(range(len(found.classes))) - set(found.targets)}
    if empty:
        raise UserError(f"{folder} holds no images in {listed(empty)}: fill or remove it")
    return found.classes, found.samples


def inventory(root: Path, samples: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """(path below root, bytes, time of the last change in ns) of every file."""
    files = []
    for path, _ in samples:
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror}): remove it") from error
        below = Path(os.path.relpath(path, root)).as_posix()
        files.append((below, status.st_size, status.st_mtime_ns))
    return files


def sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def listed(names: Iterable[str]) -> str:
    """At most three names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
