"""Which code its author may be at work on: files that are not installed.

What is installed (torch, torchvision, timm, any package of pip's) has a version.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import ModuleType

LIBRARY = Path(sysconfig.get_path("stdlib"))
INSTALLED = ("site-packages", "dist-packages")  # folders that package managers fill


def own_file(module: ModuleType) -> Path | None:
    """The file that a module was read from; None for one that is installed or has no file."""
    file = getattr(module, "__file__", None)
    if file is None or is_installed(Path(file)):
        return None
    return Path(file)


def is_installed(path: Path) -> bool:
    return path.is_relative_to(LIBRARY) or any(name in path.parts for name in INSTALLED)
