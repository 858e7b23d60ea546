"""Write what is recorded as tidy data, or the tables in LaTeX, for other tools.

csv, parquet and json: runs (a row a run, with all its settings), epochs, cells (means and standard
deviations) and, for each probe, a row a number. latex: the article's tables, with booktabs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import MISSING, StoredConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench export csv                       # into results.dir/export
normbench export latex to=paper/tables
"""

WORD = "format"  # the setting that a word without = is for


@dataclass
class Config(StoredConfig):
    format: str = MISSING
    to: str = MISSING


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_choice, check_folder
    from normbench.report.export import FORMATS, export

    check_choice("format", cfg.format, FORMATS)
    check_folder("results.dir", cfg.results.dir)
    check_folder("to", cfg.to)
    for path in export(Path(cfg.results.dir), cfg.format, Path(cfg.to)):
        print(path)
