"""Parts from outside the project that a run is made of, and digests of their source.

Only code that its author may be at work on has a digest: a file that is not installed, a cell of a
notebook.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from normbench.interactive import is_interactive, source_of
from normbench.source_files import own_file
from normbench.store.keys import OURS

PACKAGE = Path(__file__).parent


def outside_parts(settings: Any) -> dict[str, str]:
    """Import path -> digest of its source, for every part that is not installed.

    Args:
        settings: of a run whose parts were imported before.
    """
    found = {}
    for target in targets(settings):
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


def targets(settings: Any) -> list[str]:
    """The import path of every part that settings name, in alphabetical order."""
    return sorted(set(_targets(settings)))


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
    """What a part is written in: its module's file, or its own text where it is in none."""
    if is_interactive(target):
        return source_of(target)
    names = target.split(".")
    for end in range(len(names) - 1, 0, -1):
        module = sys.modules.get(".".join(names[:end]))
        if module is not None:
            file = own_file(module)
            return None if file is None else _read(file)
    return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
