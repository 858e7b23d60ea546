"""Parts from outside the project that a run is made of, and digests of their source.

Only code that its author may be at work on has a digest: a file that is not installed, a cell of a
notebook. What is installed (torch, torchvision, timm, any package of pip's) has a version.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from normbench.store.keys import OURS

PACKAGE = Path(__file__).parent
LIBRARY = Path(sysconfig.get_path("stdlib"))
INSTALLED = ("site-packages", "dist-packages")  # folders that package managers fill


def outside_parts(settings: Any) -> dict[str, str]:
    """Import path -> digest of its source, for every part that is not installed.

    Args:
        settings: of a run whose parts were imported before.
    """
    found = {}
    for target in sorted(set(_targets(settings))):
        if not target.startswith(OURS) and (source := _source(target)) is not None:
            found[target] = hashlib.sha256(source).hexdigest()[:16]
    return found


def code_digest(outside: Mapping[str, str]) -> str:
    """Changes whenever the code of this package does, or that of a run's ``outside_parts``."""
    return hashlib.sha256(f"{_package()} {outside}".encode()).hexdigest()


def changed_parts(then: Mapping[str, str | None] | None, now: Mapping[str, str]) -> list[str]:
    """Import paths of parts whose source is another one by now; what was not known is not."""
    then = then or {}
    return [path for path, digest in now.items() if then.get(path) not in (None, digest)]


@cache
def _package() -> str:
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _targets(settings: Any) -> Iterator[str]:
    if isinstance(settings, dict):
        if isinstance(target := settings.get("_target_"), str):
            yield target
        for value in settings.values():
            yield from _targets(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _targets(value)


def _source(target: str) -> bytes | None:
    """What a part is written in: its module's file, or its own text where there is none."""
    names = target.split(".")
    for end in range(len(names) - 1, 0, -1):
        module = sys.modules.get(".".join(names[:end]))
        if module is None:
            continue
        file = getattr(module, "__file__", None)
        if file is not None:
            path = Path(file)
            return None if _is_installed(path) else _read(path)
        part: Any = module
        for name in names[end:]:
            part = getattr(part, name, None)
        try:
            return inspect.getsource(part).encode()  # of a cell, which IPython remembers
        except (OSError, TypeError):
            return None
    return None


def _is_installed(path: Path) -> bool:
    return path.is_relative_to(LIBRARY) or any(name in path.parts for name in INSTALLED)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
