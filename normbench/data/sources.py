"""Raw datasets. A source is a function that opens one and returns a Source.

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

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from normbench.errors import UserError

log = logging.getLogger(__name__)


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


# --- folders of image files ---------------------------------------------------------------------


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


def imagefolder(*, root: Path | None, download: bool, image_size: int) -> Source:
    """Any folder that holds train/ and val/ (or test/), each with one folder a class."""
    if root is None:
        raise UserError("data.root is not set: give the folder that holds train/ and val/")
    _require_folder(root)
    evaluation = "val" if (root / "val").is_dir() or not (root / "test").is_dir() else "test"
    classes, train = _class_folders(root / "train")
    other_classes, val = _class_folders(root / evaluation)
    for here, there, names in (
        ("train", evaluation, set(classes) - set(other_classes)),
        (evaluation, "train", set(other_classes) - set(classes)),
    ):
        if names:
            raise UserError(
                f"class folders {_listed(names)} are in {root / here} but not in {root / there}: "
                "both must have the same"
            )
    files = _inventory(root, train + val)
    return Source(
        classes=tuple(classes),
        splits={"train": ImageFiles(train), "val": ImageFiles(val)},
        fingerprint=_sha256(files),
        identity=_sha256(sorted((path, size) for path, size, _ in files))[:16],
    )


# WordNet's identifiers, which name the folders, in the order of the labels.
IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
IMAGENETTE_COUNTS = {"train": 9469, "val": 3925}
# Version 1 evaluated on the images of these classes in ImageNet's own validation set, and trained
# on the others. Version 2 holds the same images, dealt anew.
IMAGENETTE1_VAL = "ILSVRC2012_val_"
# torchvision's names of the archives -> the folders they unpack to
IMAGENETTE_FOLDERS = {"160px": "imagenette2-160", "320px": "imagenette2-320", "full": "imagenette2"}


def imagenette(
    *,
    root: Path | None,
    download: bool,
    image_size: int,
    archive: str = "160px",
    version: int = 2,
) -> Source:
    """Imagenette v2, ten easily told classes of ImageNet, in torchvision's layout.

    Args:
        root: the folder that holds (or, downloaded, will hold) ``imagenette2-160`` or its like.
        archive: ``160px``, ``320px`` (the shorter side) or ``full``.
        version: whose split; 2 is that of the folders (9,469 images to train on, 3,925 to
            evaluate), 1 that of Imagenette's first version, until December 2019 (12,894 and 500).
    """
    if version not in (1, 2):
        raise UserError(f"data.source.version={version} is not known: choose 1 or 2")
    if archive not in IMAGENETTE_FOLDERS:
        raise UserError(
            f"data.source.archive={archive} is not known: choose {', '.join(IMAGENETTE_FOLDERS)}"
        )
    folder = _imagenette_folder(root, download, archive)
    splits = {}
    for split, official in IMAGENETTE_COUNTS.items():
        found, samples = _class_folders(folder / split)
        missing = IMAGENETTE_CLASSES.keys() - set(found)
        if missing:
            raise UserError(
                f"{folder / split} lacks the class folders {_listed(missing)}: the copy of "
                f"Imagenette is not complete; remove {folder} and get it again"
            )
        strange = set(found) - IMAGENETTE_CLASSES.keys()
        if strange:
            raise UserError(
                f"{folder / split} holds {_listed(strange)}, not among Imagenette's ten classes: "
                "remove it, or use data=imagefolder for a dataset of your own"
            )
        if len(samples) != official:
            log.warning(
                "%s holds %s images where Imagenette has %s",
                folder / split,
                f"{len(samples):,}",
                f"{official:,}",
            )
        splits[split] = samples
    if version == 1:
        both = sorted(splits["train"] + splits["val"], key=lambda s: (s[1], Path(s[0]).name))
        evaluated = [Path(path).name.startswith(IMAGENETTE1_VAL) for path, _ in both]
        for name, wanted in (("train", False), ("val", True)):
            splits[name] = [
                s for s, is_val in zip(both, evaluated, strict=True) if is_val == wanted
            ]
    return Source(
        classes=tuple(IMAGENETTE_CLASSES.values()),
        splits={split: ImageFiles(samples) for split, samples in splits.items()},
        fingerprint=_sha256(_inventory(folder, splits["train"] + splits["val"])),
    )


def _default_root() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("normbench") / "datasets"


def _imagenette_folder(root: Path | None, download: bool, archive: str) -> Path:
    """The folder that holds train/ and val/, downloaded where that is needed and allowed."""
    name = IMAGENETTE_FOLDERS[archive]
    if root is None:
        root = _default_root()
    else:
        _require_folder(root)
    folder = root / name
    if folder.is_dir():
        return folder
    if (root / "train").is_dir():
        of = {folder: archive for archive, folder in IMAGENETTE_FOLDERS.items()}.get(
            root.resolve().name
        )
        raise UserError(
            f"data.root={root} holds train/ itself, not {name}/: did you mean "
            + (f"data.root={root.resolve().parent} data.source.archive={of}" if of else "")
            + ("" if of else f"its parent, with this folder renamed to {name}, or data=imagefolder")
            + "?"
        )
    given = root != _default_root()
    if given and any(not entry.name.startswith(".") for entry in root.iterdir()):
        raise UserError(
            f"data.root={root} holds no {name} but other things: give the folder that holds "
            f"{name}, or an empty one to download it to"
        )
    if not download:
        raise UserError(
            f"{folder} does not exist: set data.root (or NORMBENCH_DATA) to the folder that holds "
            f"{name}, or data.download=true"
        )
    from normbench.data.download import download_imagenette

    download_imagenette(root, name, archive)
    return folder


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"data.root={root} {what}: check data.root (or NORMBENCH_DATA)")


def _class_folders(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
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
        raise UserError(f"{folder} holds no images in {_listed(empty)}: fill or remove it")
    return found.classes, found.samples


def _inventory(root: Path, samples: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
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


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _listed(names: Iterable[str]) -> str:
    """At most three names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


# --- drawn by a formula -------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageArray:
    """A split in memory: images uint8 (N, H, W, 3), labels (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.images[i], int(self.labels[i])

    def describe(self, i: int) -> str:
        return f"image {i}"


def synthetic(
    *,
    root: Path | None,
    download: bool,
    image_size: int,
    seed: int = 0,
    train_size: int = 2000,
    val_size: int = 1000,
) -> Source:
    """Ten classes drawn from a seed: needs no file, no network and under a second."""
    from normbench.data.synthetic import CLASSES, draw

    for name, value, low in (
        ("seed", seed, 0),
        ("train_size", train_size, 1),
        ("val_size", val_size, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise UserError(
                f"data.source.{name}={value} is not valid: give a whole number from {low}"
            )
    return Source(
        classes=CLASSES,
        splits={
            split: ImageArray(*draw(count, image_size, (seed, stream)))
            for stream, (split, count) in enumerate({"train": train_size, "val": val_size}.items())
        },
        fingerprint=None,
    )
