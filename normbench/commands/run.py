"""Train every run of the grid that has no record yet, print the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.config import GridJobConfig, TuningConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from normbench.data.load import Datasets
    from normbench.job import Job
    from normbench.runs.train import Outcome, Report

EXAMPLES = """\
normbench run norm=groupnorm
normbench run -m model=cnn4,resnet18 norm=none,batchnorm,groupnorm
normbench run -m norm=none,batchnorm --dry-run             # how many runs, and how long they take
normbench run -m norm=none,batchnorm,groupnorm tune=8      # the best of 8 learning rates each
"""


@dataclass
class Config(GridJobConfig):
    tune: int = 0
    tuning: TuningConfig = field(default_factory=TuningConfig)


def prepare(
    cfg: DictConfig, overrides: Sequence[str], datasets: Datasets, here: bool = True
) -> Job:
    from normbench.job import resolve

    return resolve(cfg, overrides, datasets, here)


def execute(job: Job) -> Report:
    """Train the runs of a job that have no record, print its table, rewrite all tables."""
    from hydra.core.hydra_config import HydraConfig

    from normbench.report.tables import print_tables, write_tables
    from normbench.runs.sweep import runs_here
    from normbench.runs.train import train_runs
    from normbench.runs.tune import tune_and_train

    report = tune_and_train(job) if job.tuned else train_runs(job)
    if job.is_part or not runs_here(HydraConfig.get()):
        report.tables_due = True
    else:
        write_tables(job.store.results)
        print_tables(job.store, report.keys)
    return report


def conclude(results: str, outcomes: Mapping[str, Outcome]) -> None:
    """Print the tables of jobs that could not, say what became of all; raise as ``sum_up``."""
    from normbench.report.tables import print_tables, write_tables
    from normbench.runs.train import Report, sum_up, tell_of_files
    from normbench.store.records import RecordStore

    store = RecordStore(Path(results))
    store.tidy()
    done = [report for report in outcomes.values() if isinstance(report, Report)]
    if due := [key for report in done if report.tables_due for key in report.keys]:
        write_tables(store.results)
        print_tables(store, due)
    tables = sorted((store.results / "tables").glob("*.md"))
    tell_of_files(outcomes, {f"tables/{path.stem}": path for path in tables})
    where = f"Records: {results}/records  tables: {results}/tables  logs: {results}/logs"
    sum_up("trained", where, outcomes)
