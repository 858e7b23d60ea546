"""Say what runs and where, what failed, what is missing, how long it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig as Config

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["Config", "main"]

EXAMPLES = "normbench status results.dir=results\n"


def main(cfg: DictConfig) -> None:
    from normbench.checks import check_folder
    from normbench.report.status import describe
    from normbench.store.records import nothing_recorded

    check_folder("results.dir", cfg.results.dir)
    results = Path(cfg.results.dir)
    if not any((results / folder).is_dir() for folder in ("records", "probes", "grids")):
        raise nothing_recorded(results)
    print(describe(results))
