"""Imagenette: https://github.com/fastai/imagenette"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from normbench.data.folders import (
    ImageFiles,
    class_folders,
    inventory,
    listed,
    sha256,
)
from normbench.data.roots import find_or_fetch
from normbench.data.source import Source
from normbench.errors import UserError

log = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Kind:
    """A choice of ImageNet's classes that lies on disk as Imagenette does.

    Attributes:
        what: its name in words.
        classes: WordNet's identifier -> name, in the order of the labels.
        counts: how many images a split has.
        folders: archive -> the folder that it unpacks to.
        fetch: downloads an archive to a folder, checks it and unpacks it there.
    """

    what: str
    classes: Mapping[str, str]
    counts: Mapping[str, int]
    folders: Mapping[str, str]
    fetch: Callable[[str, Path], object]


def fetch_imagenette(archive: str, folder: Path) -> None:
    from torchvision.datasets import Imagenette

    Imagenette(folder, split="train", size=archive, download=True)


IMAGENETTE = Kind(
    "Imagenette", IMAGENETTE_CLASSES, IMAGENETTE_COUNTS, IMAGENETTE_FOLDERS, fetch_imagenette
)


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
    folder, splits = find_splits(IMAGENETTE, root, download, archive)
    if version == 1:
        both = sorted(splits["train"] + splits["val"], key=lambda s: (s[1], Path(s[0]).name))
        evaluated = [Path(path).name.startswith(IMAGENETTE1_VAL) for path, _ in both]
        for name, wanted in (("train", False), ("val", True)):
            splits[name] = [
                s for s, is_val in zip(both, evaluated, strict=True) if is_val == wanted
            ]
    return as_source(IMAGENETTE, folder, splits)


def find_splits(
    kind: Kind, root: Path | None, download: bool, archive: str
) -> tuple[Path, dict[str, list[tuple[str, int]]]]:
    """The folder, and split -> (path, label) of its images, checked; downloaded where needed and
    allowed.

    Raises:
        UserError: for an unknown archive, and for what is missing or strange in the folders.
    """
    if archive not in kind.folders:
        raise UserError(
            f"data.source.archive={archive} is not known: choose {', '.join(kind.folders)}"
        )
    folder = _folder(kind, root, download, archive)
    splits = {}
    for split, official in kind.counts.items():
        found, samples = class_folders(folder / split)
        missing = kind.classes.keys() - set(found)
        if missing:
            raise UserError(
                f"{folder / split} lacks the class folders {listed(missing)}: the copy of "
                f"{kind.what} is not complete; remove {folder} and get it again"
            )
        strange = set(found) - kind.classes.keys()
        if strange:
            raise UserError(
                f"{folder / split} holds {listed(strange)}, not among {kind.what}'s ten classes: "
                "remove it, or use data=imagefolder for a dataset of your own"
            )
        if len(samples) != official:
            log.warning(
                "%s holds %s images where %s has %s",
                folder / split,
                f"{len(samples):,}",
                kind.what,
                f"{official:,}",
            )
        splits[split] = samples
    return folder, splits


def as_source(kind: Kind, folder: Path, splits: Mapping[str, list[tuple[str, int]]]) -> Source:
    return Source(
        classes=tuple(kind.classes.values()),
        splits={split: ImageFiles(samples) for split, samples in splits.items()},
        fingerprint=sha256(inventory(folder, splits["train"] + splits["val"])),
    )


def _folder(kind: Kind, root: Path | None, download: bool, archive: str) -> Path:
    """The folder that holds train/ and val/, downloaded where that is needed and allowed."""
    name = kind.folders[archive]

    def itself(root: Path) -> str | None:
        if not (root / "train").is_dir():
            return None
        of = {folder: archive for archive, folder in kind.folders.items()}.get(root.resolve().name)
        return (
            f"data.root={root} holds train/ itself, not {name}/: did you mean "
            + (f"data.root={root.resolve().parent} data.source.archive={of}" if of else "")
            + ("" if of else f"its parent, with this folder renamed to {name}, or data=imagefolder")
            + "?"
        )

    def fetch(folder: Path) -> None:
        kind.fetch(archive, folder)

    what = f"{kind.what} ({archive})"
    return find_or_fetch(root, name, what, fetch if download else None, itself)
