"""Files that are whole or not there."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from normbench.store.processes import alive, this_process

TEMPORARY = ".tmp"  # the end of a name under which a file is written


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or none: to a temporary one beside it, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f".{path.name}.{secrets.token_hex(4)}.{this_process()}{TEMPORARY}"
    temporary = path.with_name(name)
    try:
        with open(temporary, "xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def remove_abandoned(results: Path) -> None:
    """Remove temporary files of this host's processes that died while they wrote them."""
    for folder, below, files in os.walk(results):
        if "logs" in below:
            below.remove("logs")
        for name in files:
            if name.endswith(TEMPORARY) and alive(name.split(".")[-2]) is False:
                Path(folder, name).unlink(missing_ok=True)
