"""A prepared split <-> its file, which many processes map into memory at the same time.

A file is whole or not there: it is written under another name and renamed. It is checked byte by
byte when it is opened, and a damaged one is made again. A process that dies leaves at most one
temporary folder, which the next preparation removes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from normbench.data.dataset import Split
from normbench.errors import UserError
from normbench.store.locks import Locks

FORMAT = "1"  # of the files; to be raised whenever the same settings come to mean other pixels

log = logging.getLogger(__name__)


class Damaged(Exception):
    """A file does not hold what it was written to hold."""


def load(path: Path, about: Mapping[str, str], prepare: Callable[[], Split]) -> tuple[Split, str]:
    """Open a prepared split, preparing it first where its file is missing or damaged.

    Args:
        path: of the file. Its folder is created where needed.
        about: what the split is; kept in the file's header.
        prepare: makes the split. Of several processes that want the same file, one calls it
            while the others wait.

    Returns:
        The split, mapped from the file (copy-on-write: changing a tensor changes no file), and
        its digest.

    Raises:
        UserError: when the file can be neither read nor written.
    """
    # Without the lock first, so that a cache that somebody else filled may be read-only.
    try:
        return _read(path, about)
    except (FileNotFoundError, Damaged):
        pass
    with _alone_in(path.parent):
        try:
            return _read(path, about)  # another process prepared it in the meantime
        except FileNotFoundError:
            pass
        except Damaged as reason:
            log.warning("%s is damaged (%s): preparing it again", path, reason)
        _write(path, prepare(), about)
        try:
            return _read(path, about)
        except (FileNotFoundError, Damaged) as reason:
            raise UserError(
                f"{path} did not survive being written ({reason}): check the disk, or set "
                "data.cache to a folder on another one"
            ) from reason


def digest(split: Split) -> str:
    """sha256 over the shapes and bytes of a split's tensors."""
    sha = hashlib.sha256()
    for tensor in (split.images, split.labels):
        sha.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        sha.update(tensor.numpy().data)
    return sha.hexdigest()


def _read(path: Path, about: Mapping[str, str]) -> tuple[Split, str]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            split = Split(file.get_tensor("images"), file.get_tensor("labels"))
    except SafetensorError as error:
        raise Damaged(error) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error}): remove it, or set data.cache to another folder"
        ) from error
    found = digest(split)
    if header != _header(about, found):
        raise Damaged("its header or checksum does not match")
    return split, found


def _write(path: Path, split: Split, about: Mapping[str, str]) -> None:
    # A folder, because safetensors writes to files whose names it makes up.
    workplace = path.parent / ".normbench.tmp"
    try:
        shutil.rmtree(workplace, ignore_errors=True)
        workplace.mkdir()
        temporary = workplace / path.name
        tensors = {"images": split.images, "labels": split.labels}
        save_file(tensors, temporary, _header(about, digest(split)))
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        # safetensors makes files private; those who may read the folder may read this one.
        os.chmod(temporary, 0o600 | path.parent.stat().st_mode & 0o644)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write {path} ({error}): make room there, or set data.cache or "
            "NORMBENCH_CACHE to another folder"
        ) from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _header(about: Mapping[str, str], sha256: str) -> dict[str, str]:
    return {"format": FORMAT, **about, "sha256": sha256}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. One for all files: preparing keeps every core busy anyway."""
    waiting = partial(log.warning, "waiting for another process that prepares data in %s", folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(Locks(folder).hold(".normbench", waiting))
        except OSError as error:
            raise UserError(
                f"cannot write to the cache folder {folder} ({error.strerror}): set data.cache or "
                "NORMBENCH_CACHE to a folder that can be written"
            ) from error
        yield
