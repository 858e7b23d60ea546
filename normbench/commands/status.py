"""Say what runs and where, what failed, what is missing, how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench status
normbench status forget=true      # what is missing or failed, until it is asked for again
"""


@dataclass
class Config(StoredConfig):
    forget: bool = False


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_folder
    from normbench.report.status import describe
    from normbench.runs.missing import forget
    from normbench.store.records import nothing_recorded

    check_folder("results.dir", cfg.results.dir)
    results = Path(cfg.results.dir)
    if not any((results / folder).is_dir() for folder in ("records", "probes", "grids")):
        raise nothing_recorded(results)
    if cfg.forget:
        print(f"{forget(results)} grids and failures forgotten\n")
    print(describe(results))
