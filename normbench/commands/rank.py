"""Order norms by what the records tell, with what is certain and what is not.

Norms are ranked that have runs with the same model, data and protocol: a page for each of these,
results.dir/rank/DATA_MODEL.md, with its tables as CSV and two figures. norm=mine says whose place
is told in words; model=, data=, optimizer= and schedule= say what to look at, by name, several with
commas. tune=N ranks the runs that normbench run tune=N trained, if tuning is what it was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import StoredConfig, TuningConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

EXAMPLES = """\
normbench rank
normbench rank mine                         # where mine stands, in words; or norm=mine
normbench rank baseline=groupnorm among=none,batchnorm,groupnorm
normbench rank tune=8                       # of normbench run -m norm=… tune=8
"""

# What is typed as names with commas, and what Hydra, for which some are groups, is to call it.
LISTS = {name: f"names.{name}" for name in ("norm", "model", "data", "optimizer", "schedule")}
LISTS |= {"among": "among"}
WORDS = "names.norm"  # the setting that words without = are for


@dataclass
class Names:
    norm: list[str] | None = None
    model: list[str] | None = None
    data: list[str] | None = None
    optimizer: list[str] | None = None
    schedule: list[str] | None = None


@dataclass
class GridPoints:
    batch_size: list[int] | None = None
    lr: list[float] | None = None
    seeds: list[int] | None = None


@dataclass
class Config(StoredConfig):
    names: Names = field(default_factory=Names)
    among: list[str] | None = None
    baseline: str | None = None
    tell: float = 0.02
    grid: GridPoints = field(default_factory=GridPoints)
    tune: int = 0
    tuning: TuningConfig = field(default_factory=TuningConfig)


def write_pages(cfg: DictConfig) -> Iterator[tuple[str, list[Path]]]:
    """Each page, as markdown, and all of its files."""
    from normbench.checks import check_folder, check_tuning
    from normbench.errors import UserError
    from normbench.report.rank_pages import views, write_page
    from normbench.settings import plain

    check_folder("results.dir", cfg.results.dir)
    check_tuning(cfg)
    if not cfg.tell > 0:
        raise UserError(f"tell={cfg.tell} is not valid: give a difference in accuracy, above 0")
    for view, stem in views(Path(cfg.results.dir), plain(cfg)):
        yield write_page(view, stem)


def main(cfg: DictConfig) -> None:
    for text, files in write_pages(cfg):
        print(text)
        print("Written:", *files, end="\n\n", flush=True)
