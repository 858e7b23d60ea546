"""MNIST: LeCun, Bottou, Bengio & Haffner 1998, and Fashion-MNIST: Xiao, Rasul & Vollgraf 2017,
https://arxiv.org/abs/1708.07747, which is of the same sizes and in the same format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normbench.data.arrays import ImageArray
from normbench.data.originals import identify, read_binary
from normbench.data.roots import find_or_fetch
from normbench.data.source import Source
from normbench.errors import UserError

FILES = {"train": "train", "val": "t10k"}  # split -> what its files' names begin with
UNSIGNED_BYTES = 0x08  # of the numbers in a file; the format knows others

ORIGINALS = {  # md5, unpacked
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip


def mnist(*, root: Path | None, download: bool, image_size: int) -> Source:
    """Handwritten digits, grey, 28 x 28 pixels: 60,000 to train on, 10,000 to evaluate.

    The four files are in ``root/MNIST/raw``, torchvision's layout, each as it is or as .gz.
    """
    return _open("MNIST", "MNIST", root, download, DIGITS, ORIGINALS)


def fashion_mnist(*, root: Path | None, download: bool, image_size: int) -> Source:
    """Pieces of clothing, as many and of the same size; in ``root/FashionMNIST/raw``.

    What is downloaded is checked; no checksums of the unpacked files are published, so every copy's
    runs are told apart by its content.
    """
    return _open("FashionMNIST", "Fashion-MNIST", root, download, CLOTHES, {})


def _open(
    name: str,
    what: str,
    root: Path | None,
    download: bool,
    classes: tuple[str, ...],
    originals: dict[str, str],
) -> Source:
    def fetch(folder: Path) -> None:
        from torchvision import datasets

        getattr(datasets, name)(folder, download=True)

    def itself(root: Path) -> str | None:
        if not any(root.glob("train-images-idx3-ubyte*")):
            return None
        whole = root.resolve()
        return f"data.root={root} holds the files themselves: " + (
            f"did you mean data.root={whole.parents[1]}?"
            if whole.parts[-2:] == (name, "raw")
            else f"put them into a folder {name}/raw, and give the one that holds {name}"
        )

    folder = find_or_fetch(root, name, what, fetch if download else None, itself) / "raw"
    contents, splits = {}, {}
    for split, prefix in FILES.items():
        arrays = []
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            file = f"{prefix}-{kind}-ubyte"
            contents[file] = read_binary(folder, file, what)
            arrays.append(_array(contents[file], dimensions, folder / file))
        images, labels = arrays
        if len(images) != len(labels):
            raise UserError(
                f"{folder} has {len(images):,} images and {len(labels):,} labels in its {prefix} "
                f"files: they are not of one dataset; remove {folder} and get it again"
            )
        splits[split] = ImageArray(images, labels)
    fingerprint, identity = identify(contents, originals, folder, what)
    return Source(classes, splits, fingerprint, identity)


def _array(content: bytes, dimensions: int, path: Path) -> np.ndarray:
    """An idx file: two zeros, the kind of number, how many dimensions; their sizes; the numbers."""
    start = 4 + 4 * dimensions
    head = np.frombuffer(content[:start], np.uint8)
    if len(head) < start or head[:4].tolist() != [0, 0, UNSIGNED_BYTES, dimensions]:
        raise UserError(
            f"{path} is no idx file of {dimensions}-dimensional bytes: replace or remove it"
        )
    shape = head[4:].view(">u4").tolist()
    if len(content) != start + int(np.prod(shape)):
        raise UserError(
            f"{path} has {len(content):,} bytes where its first ones ask for "
            f"{start + int(np.prod(shape)):,}: it is damaged; replace or remove it"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
