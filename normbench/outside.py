"""Parts from outside the project that a run is made of, and digests of their source.

Only code that its author may be at work on has a digest: a file that is not installed, a cell of a
notebook.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from normbench.errors import UserError
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


def check_loaded(settings: Any) -> None:
    """Raise UserError for a part whose file was edited after this process had loaded it: what would
    train here and what would train in other processes were not the same.

    Args:
        settings: of a run whose parts were imported before.
    """
    for target in targets(settings):
        module = None if is_interactive(target) else _module_of(target)
        if module is None or target.startswith(OURS) or (file := own_file(module)) is None:
            continue
        content = _read(file)
        spec, before = _loaded.setdefault(module.__name__, (module.__spec__, content))
        if spec is not module.__spec__:  # it was loaded anew
            _loaded[module.__name__] = module.__spec__, content
        elif before != content:
            raise UserError(
                f"{file.name} was edited after it was imported: importlib.reload({module.__name__})"
                f" and import {target.rpartition('.')[2]} again, or start Python anew"
            )


_loaded: dict[str, tuple[ModuleSpec | None, bytes | None]] = {}  # as modules were first seen


def _source(target: str) -> bytes | None:
    """What a part is written in: its module's file, or its own text where it is in none."""
    if is_interactive(target):
        return source_of(target)
    module = _module_of(target)
    file = None if module is None else own_file(module)
    return None if file is None else _read(file)


def _module_of(target: str) -> ModuleType | None:
    names = target.split(".")
    found = (sys.modules.get(".".join(names[:end])) for end in range(len(names) - 1, 0, -1))
    return next((module for module in found if module is not None), None)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
