"""Fetching Imagenette so that a download that was cut off is never taken for the whole."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import zlib
from pathlib import Path

from normbench.errors import UserError
from normbench.store.locks import Locks


def download_imagenette(root: Path, name: str, archive: str) -> None:
    """Make ``root/name``, in one step once everything is there.

    Everything happens in a hidden folder beside it. Of several processes one downloads while the
    others wait; an archive that a killed process left there whole is used.

    Args:
        root: where to; created if needed.
        name: of the folder that the archive unpacks to.
        archive: torchvision's name of the archive.

    Raises:
        UserError: when it cannot be fetched, unpacked or written.
    """
    from torchvision.datasets import Imagenette

    workplace = root / f".{name}.download"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with Locks(root).hold(f".{name}"):
            if (root / name).is_dir():  # another process made it in the meantime
                return
            # torchvision would take a half unpacked folder for a whole one.
            shutil.rmtree(workplace / name, ignore_errors=True)
            Imagenette(workplace, split="train", size=archive, download=True)
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
            f"cannot download Imagenette ({archive}) to {root} ({error}): set data.root (or "
            f"NORMBENCH_DATA) to a folder that holds a copy of {name}"
        ) from error
