"""What datasets share that come as a few binary files: reading them, and whether they are the
original's."""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path

from normbench.errors import UserError

log = logging.getLogger(__name__)


def read_binary(folder: Path, name: str, what: str) -> bytes:
    """A file's bytes, unpacked where it lies there as ``name.gz``.

    Args:
        what: the dataset in words.

    Raises:
        UserError: if it is in neither form there, or cannot be read.
    """
    path = folder / name
    packed = folder / f"{name}.gz"
    if not path.is_file():
        path = packed
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path == packed else content
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} lacks {name}: the copy of {what} is not complete; remove {folder} and get "
            "it again, or set data.root (or NORMBENCH_DATA) to the folder of another copy"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path} ({error}): replace or remove it") from error


def identify(
    contents: Mapping[str, bytes], originals: Mapping[str, str], folder: Path, what: str
) -> tuple[str, str | None]:
    """The fingerprint and the identity of a ``Source`` that is made of files.

    A copy that is not the original's to the byte has an identity, so that its runs are never taken
    for the original's; a line says so.

    Args:
        contents: name -> bytes, of every file that pixels or labels come from.
        originals: name -> md5 of the original's; empty where that is not known, and every copy has
            an identity.
    """
    sums = {name: _md5(content) for name, content in sorted(contents.items())}
    together = hashlib.sha256(str(sorted(sums.items())).encode()).hexdigest()
    if sums == dict(originals):
        return together, None
    if originals:
        log.warning(
            "%s is not the original %s (checksums differ): its runs are told apart from the "
            "original's",
            folder,
            what,
        )
    return together, together[:16]


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
