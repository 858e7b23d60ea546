"""Set two results folders side by side, or two versions of a layer.

Per cell: how far apart the accuracies are, with Welch's intervals, and which of these are beyond
noise; which settings differ, and which code. One folder: the runs of a layer of your own as it was
before it was edited, beside those of today.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench diff results theirs/results
normbench diff                        # versions of a layer in results
"""

WORDS = "folders"  # the setting that words without = are for


@dataclass
class Config(StoredConfig):
    folders: list[str] = field(default_factory=list)


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_folder
    from normbench.errors import UserError
    from normbench.report.diff import diff_folders, diff_versions

    check_folder("results.dir", cfg.results.dir)
    folders = [Path(folder) for folder in cfg.folders] or [Path(cfg.results.dir)]
    if len(folders) > 2:
        raise UserError(f"normbench diff takes one folder or two, not {len(folders)}")
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist: name a results folder")
    print(diff_folders(*folders) if len(folders) == 2 else diff_versions(folders[0]))
