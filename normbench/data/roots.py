"""Where a named dataset is: in the folder that the user gave, or fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from normbench.data.folders import require_folder
from normbench.data.source import NotHere
from normbench.errors import UserError

# Folders of datasets that may lie side by side: a folder that holds them, and nothing else, is one
# to download another to.
KNOWN = {
    "imagenette2-160", "imagenette2-320", "imagenette2", "imagewoof2-160", "imagewoof2-320",
    "MNIST", "FashionMNIST",
    "cifar-10-batches-bin", "cifar-10-batches-py", "cifar-100-binary", "cifar-100-python",
}  # fmt: skip


def default_root() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("normbench") / "datasets"


def find_or_fetch(
    root: Path | None,
    name: str,
    what: str,
    download: Callable[[Path], object] | None,
    hint: Callable[[Path], str | None] = lambda root: None,
) -> Path:
    """The folder of a dataset, fetched where that is needed and allowed.

    Args:
        root: the folder that holds it, or None for one in the user's home.
        name: of the dataset's folder.
        what: the dataset in words.
        download: see ``download.fetch``; None where it may not be fetched.
        hint: what the user may have meant with a root that does not hold it, or None.

    Raises:
        UserError: if it is not there and cannot be fetched.
    """
    if root is None:
        root, given = default_root(), False
    else:
        require_folder(root)
        given = root != default_root()
    folder = root / name
    if folder.is_dir():
        return folder
    if meant := hint(root):
        raise UserError(meant)
    if root.resolve().name == name:
        raise UserError(
            f"data.root={root} is {name} itself: did you mean data.root={root.resolve().parent}?"
        )
    if given and any(not e.name.startswith(".") and e.name not in KNOWN for e in root.iterdir()):
        raise UserError(
            f"data.root={root} holds no {name} but other things: give the folder that holds "
            f"{name}, or an empty one to download it to"
        )
    if download is None:
        raise NotHere(
            f"{folder} does not exist: set data.root (or NORMBENCH_DATA) to the folder that holds "
            f"{name}, or data.download=true"
        )
    from normbench.data.download import fetch

    fetch(root, name, what, download)
    return folder
