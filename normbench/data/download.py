"""Fetching a dataset so that a download that was cut off is never taken for the whole."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from normbench.errors import UserError
from normbench.store.locks import Locks


def fetch(root: Path, name: str, what: str, download: Callable[[Path], object]) -> None:
    """Make ``root/name``, in one step once everything is there.

    Everything happens in a hidden folder beside it. Of several processes one downloads while the
    others wait; an archive that a killed process left there whole is used.

    Args:
        root: where to; created if needed.
        name: of the folder that is made.
        what: the dataset in words.
        download: makes a folder of that name in the folder that it is given, and checks it; keeps
            archives there that it can use again.

    Raises:
        UserError: when it cannot be fetched, unpacked or written.
    """
    workplace = root / f".{name}.download"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with Locks(root).hold(f".{name}"):
            if (root / name).is_dir():  # another process made it in the meantime
                return
            # torchvision would take a half unpacked folder for a whole one.
            shutil.rmtree(workplace / name, ignore_errors=True)
            download(workplace)
            os.rename(workplace / name, root / name)
            shutil.rmtree(workplace, ignore_errors=True)
    except (
        OSError,
        RuntimeError,  # torchvision's for a wrong checksum
        http.client.HTTPException,
        tarfile.TarError,
        zlib.error,
        EOFError,
    ) as error:
        raise UserError(
            f"cannot download {what} to {root} ({error}): set data.root (or NORMBENCH_DATA) to a "
            f"folder that holds a copy of {name}"
        ) from error
