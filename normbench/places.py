"""Where the configs lie."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


@cache
def config_folder() -> Path:
    """The folder of the Hydra groups: the repository's, or in a wheel the package's."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_names(group: str) -> list[str]:
    """The options of a group, such as ``norm``, in alphabetical order."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def read_config(name: str) -> Any:
    """A config as it is written, such as ``norm/batchnorm``: not composed with others."""
    return OmegaConf.create((config_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
