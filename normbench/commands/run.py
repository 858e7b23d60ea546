"""``normbench run``: train what the grid lacks, then print the table."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normbench import assemble
from normbench.commands.jobs import Report, check_job, job_data, sum_up, train_runs
from normbench.config import outcome_settings
from normbench.grid import runs_of
from normbench.records import RecordStore
from normbench.report.tables import norm_tables, write_tables


def check(cfg: DictConfig, overrides: list[str]) -> None:
    """Raise UserError for whatever is wrong with a job; prepares its data if need be."""
    check_job(cfg, overrides)
    RecordStore(Path(cfg.results.dir)).make_writable()


def main(cfg: DictConfig) -> Report:
    """Train the runs of one job that have no record, print its table, rewrite all tables."""
    check(cfg, list(HydraConfig.get().overrides.task))
    data, (_, precision) = job_data(cfg), assemble.resolve_device(cfg)
    settings = outcome_settings(cfg, precision, data.identity)
    runs, store = runs_of(cfg.grid, settings), RecordStore(Path(cfg.results.dir))
    report = train_runs(cfg, runs, store)
    write_tables(store.results)
    records = [record for run in runs if (record := store.read(run.key))]
    for heading, table in norm_tables(records):
        print(f"\n{settings['model']['name']} on {data.name}: {heading}\n\n{table}\n", flush=True)
    return report


def conclude(results: str, reports: dict[str, Report | Exception | None]) -> None:
    """Say what became of a sweep's jobs; raises as ``sum_up`` does."""
    where = f"Records: {results}/records  tables: {results}/tables  logs: {results}/logs"
    sum_up("trained", where, reports)
