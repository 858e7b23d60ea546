"""``normbench run``: train what the grid lacks, then print the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normbench import assemble
from normbench.commands.jobs import Report, check_job, job_data, runs_here, sum_up, train_runs
from normbench.config import outcome_settings
from normbench.grid import is_part, runs_of_part
from normbench.records import RecordStore
from normbench.report.settings import canonical
from normbench.report.tables import norm_tables, write_tables


@dataclass
class TrainReport(Report):
    """part: the keys of runs whose tables the sweep has to print, since they are but a part of a
    grid, or ran elsewhere."""

    part: list[str] = field(default_factory=list)


def check(cfg: DictConfig, overrides: list[str], here: bool = True) -> None:
    """Raise UserError for whatever is wrong with a job, as ``check_job`` does."""
    check_job(cfg, overrides, here)
    RecordStore(Path(cfg.results.dir)).make_writable()


def main(cfg: DictConfig) -> TrainReport:
    """Train the runs of one job that have no record, print its table, rewrite all tables."""
    check(cfg, list(HydraConfig.get().overrides.task))
    data, (_, precision) = job_data(cfg), assemble.resolve_device(cfg)
    settings = outcome_settings(cfg, precision, data.identity)
    store = RecordStore(Path(cfg.results.dir))
    report = TrainReport(**vars(train_runs(cfg, settings, store)))
    keys = [run.key for run in runs_of_part(cfg.grid, settings)]
    if is_part(cfg.grid) or not runs_here(HydraConfig.get()):
        report.part = keys
    else:
        write_tables(store.results)
        _print_tables(store, keys)
    return report


def _print_tables(store: RecordStore, keys: list[str]) -> None:
    """The tables of what some runs came to, one for each model and norm."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in store.read_many(keys).values():
        groups.setdefault(canonical(record["config"]), []).append(record)
    for records in groups.values():
        config = records[0]["config"]
        for heading, table in norm_tables(records):
            what = f"{config['model']['name']} on {config['data']['name']}: {heading}"
            print(f"\n{what}\n\n{table}\n", flush=True)


def conclude(results: str, reports: dict[str, Report | Exception | None]) -> None:
    """Print the tables of jobs that could not, say what became of all; raise as ``sum_up``."""
    store = RecordStore(Path(results))
    store.tidy()
    done = [report for report in reports.values() if isinstance(report, TrainReport)]
    if parts := [key for report in done for key in report.part]:
        write_tables(store.results)
        _print_tables(store, parts)
    where = f"Records: {results}/records  tables: {results}/tables  logs: {results}/logs"
    sum_up("trained", where, reports)
