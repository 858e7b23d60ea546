"""Bring the records of other folders into results.dir.

Each is checked (schema, checksum, and that its key is that of its settings), none is written over:
of a run that has another outcome here, which is told, the record here is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench merge theirs/results                        # into results
normbench merge ada/results max/results results.dir=ours
"""

WORDS = "folders"  # the setting that words without = are for


@dataclass
class Config(StoredConfig):
    folders: list[str] = field(default_factory=list)


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_folder
    from normbench.errors import UserError
    from normbench.report.merged import describe
    from normbench.report.tables import write_tables
    from normbench.store.merge import merge

    check_folder("results.dir", cfg.results.dir)
    results, folders = Path(cfg.results.dir), [Path(folder) for folder in cfg.folders]
    if not folders:
        raise UserError("name the folders whose records to bring here: normbench merge FOLDER")
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} does not exist: name a results folder")
        if folder.resolve() == results.resolve():
            raise UserError(f"{folder} is results.dir itself: name another folder, or results.dir=")
    for folder in folders:
        print(describe(folder, results, merge(folder, results)), flush=True)
    write_tables(results)
