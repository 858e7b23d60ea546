"""CIFAR-10 and CIFAR-100: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html

Of the forms that they come in, the binary one is read: labels and pixels, and nothing to execute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normbench.data.arrays import ImageArray
from normbench.data.originals import identify, read_binary
from normbench.data.roots import find_or_fetch
from normbench.data.source import Source
from normbench.errors import UserError

SIDE = 32
PIXELS = 3 * SIDE * SIDE  # bytes of an image: all of its red, then green, then blue
URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How one of the two lies on disk.

    Attributes:
        what: its name in words.
        folder: that the archive unpacks to.
        archive, md5: what to fetch.
        train, val: its files -> md5 of the original's.
        labels: bytes before an image, of which the last is its class.
    """

    what: str
    folder: str
    archive: str
    md5: str
    train: dict[str, str]
    val: dict[str, str]
    labels: int


CIFAR10 = Layout(
    what="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    train={
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    },
    val={"test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d"},
    labels=1,
)
CIFAR100 = Layout(
    what="CIFAR-100",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    train={"train.bin": "6172c7755cfe09b2fe270c85cebc1b15"},
    val={"test.bin": "4499cfba6c016c1be1438163640a0898"},
    labels=2,  # one of 20 coarse classes, and one of 100
)


def cifar10(*, root: Path | None, download: bool, image_size: int) -> Source:
    """Photographs of 32 x 32 pixels: 50,000 to train on, 10,000 to evaluate, ten classes.

    In ``root/cifar-10-batches-bin``.
    """
    return _open(CIFAR10, root, download, CIFAR10_CLASSES)


def cifar100(*, root: Path | None, download: bool, image_size: int) -> Source:
    """As many of a hundred classes; in ``root/cifar-100-binary``."""
    return _open(CIFAR100, root, download, None)


def _open(
    layout: Layout, root: Path | None, download: bool, classes: tuple[str, ...] | None
) -> Source:
    def fetch(folder: Path) -> None:
        from torchvision.datasets.utils import download_and_extract_archive

        url = URL + layout.archive
        download_and_extract_archive(url, str(folder), md5=layout.md5)

    def pickled(root: Path) -> str | None:
        found = [f for f in ("cifar-10-batches-py", "cifar-100-python") if (root / f).is_dir()]
        if not found or download:
            return None
        return (
            f"data.root={root} holds {found[0]}, the version of CIFAR in Python's pickles, which "
            f"are never loaded: get {layout.archive}, or set data.download=true"
        )

    what = layout.what
    folder = find_or_fetch(root, layout.folder, what, fetch if download else None, pickled)
    if classes is None:
        names = read_binary(folder, "fine_label_names.txt", what).decode("ascii", "replace").split()
        if len(names) != 100:
            raise UserError(
                f"{folder / 'fine_label_names.txt'} has {len(names)} names, not 100: replace it"
            )
        classes = tuple(names)
    contents, splits = {}, {}
    for split, files in (("train", layout.train), ("val", layout.val)):
        parts = []
        for file in files:
            contents[file] = read_binary(folder, file, what)
            parts.append(_rows(contents[file], layout, folder / file))
        rows = np.concatenate(parts)
        labels, pixels = rows[:, layout.labels - 1], rows[:, layout.labels :]
        images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        splits[split] = ImageArray(images, labels)
    fingerprint, identity = identify(contents, layout.train | layout.val, folder, what)
    return Source(classes, splits, fingerprint, identity)


def _rows(content: bytes, layout: Layout, path: Path) -> np.ndarray:
    """A file's images, each with its labels before it: uint8 (images, bytes)."""
    size = layout.labels + PIXELS
    if not content or len(content) % size:
        raise UserError(
            f"{path} has {len(content):,} bytes, no whole number of images of {size:,}: it is "
            "damaged or another version's; replace or remove it"
        )
    return np.frombuffer(content, np.uint8).reshape(-1, size)
