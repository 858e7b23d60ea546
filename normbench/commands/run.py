"""``normbench run``: train what the grid lacks, then print the table.

One call is one job: one model and norm. A sweep (``hydra_plugins.normbench_sweeper``) checks all
its jobs before the first one trains, and sums up their reports.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normbench import assemble
from normbench.config import check_batch_sizes, check_run, drop_replaced_settings, outcome_settings
from normbench.data import Dataset, load_dataset
from normbench.engine.lanes import Event
from normbench.environment import environment
from normbench.errors import RunFailed, UserError
from normbench.grid import Missing, Run, runs_of, train_missing
from normbench.progress import Progress, preparation_progress
from normbench.records import SCHEMA, RecordStore
from normbench.report.tables import norm_tables, write_tables

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of a job's runs. failed: one line each."""

    trained: int = 0
    found: int = 0
    failed: list[str] = field(default_factory=list)


def check(cfg: DictConfig, overrides: list[str]) -> None:
    """Raise UserError for whatever is wrong with a job; prepares its data if need be."""
    check_run(cfg)
    drop_replaced_settings(cfg, overrides)
    device, _ = assemble.resolve_device(cfg)
    assemble.prepare_lanes(device)
    assemble.check_parts(cfg, num_classes=10)
    check_batch_sizes(cfg.grid.batch_size, len(_data(cfg).train.labels))
    RecordStore(Path(cfg.results.dir)).make_writable()


def main(cfg: DictConfig) -> Report:
    """Train the runs of one job that have no record, print its table, rewrite all tables."""
    check(cfg, list(HydraConfig.get().overrides.task))
    device, precision = assemble.resolve_device(cfg)
    data = _data(cfg)
    settings = outcome_settings(cfg, precision, data.identity)
    runs = runs_of(cfg.grid, settings)
    lanes, threads = assemble.split_cores(cfg.engine, len(runs), device)
    where = environment(device, threads) | {"data": data.digest}
    store = RecordStore(Path(cfg.results.dir))
    report = Report()
    progress = Progress(
        runs, lambda run: len(data.train.labels) // run.batch_size * cfg.train.epochs, lanes
    )

    def found(run: Run, record: dict[str, Any]) -> None:
        report.found += 1
        progress.found(run, record)

    def handle(event: Event) -> dict[str, Any] | None:
        run: Run = event.task
        if event.result is not None:
            report.trained += 1
            log.info("%s: %s", run, event.result)
            record = {
                "schema": SCHEMA,
                "key": run.key,
                "config": settings | {"grid": OmegaConf.to_container(cfg.grid)},
                "batch_size": run.batch_size,
                "lr": run.lr,
                "seed": run.seed,
                **asdict(event.result),
                "environment": where,
            }
            progress.finish(run, record)
            return record
        if event.error is not None:
            report.failed.append(f"{run}: {event.error}")
            log.info("%s failed: %s\n%s", run, event.error, event.details)
            progress.fail(run, event.error)
        elif event.notice:
            log.info("%s: %s", run, event.notice)
            progress.note(run, event.notice)
        else:
            progress.advance(run, event.steps)
        return None

    with closing(progress):
        train_missing(
            Missing(runs, store, cfg.force, found),
            assemble.make_lanes(cfg, device, lanes, threads),
            progress.start,
            handle,
        )
    write_tables(store.folder.parent)
    records = [record for run in runs if (record := store.read(run.key))]
    for heading, table in norm_tables(records):
        print(f"\n{settings['model']['name']} on {data.name}: {heading}\n\n{table}\n", flush=True)
    return report


def _data(cfg: DictConfig) -> Dataset:
    return _load(OmegaConf.to_yaml(cfg.data, resolve=True))


@cache  # jobs of one sweep share their data, opened and checked once
def _load(settings: str) -> Dataset:
    with preparation_progress() as progress:
        return load_dataset(OmegaConf.create(settings), progress)


def conclude(results: str, reports: dict[str, Report | Exception | None]) -> None:
    """Say what became of a sweep's jobs and where everything is.

    Args:
        results: the results folder.
        reports: by a job's overrides, what ``main`` returned or raised.

    Raises:
        RunFailed: if anything failed, with a line for each.
        UserError: if all that failed was wrong input.
    """
    done = [report for report in reports.values() if isinstance(report, Report)]
    trained, found = sum(r.trained for r in done), sum(r.found for r in done)
    print(
        f"{trained} run{'s' * (trained != 1)} trained, {found} already there. "
        f"Records: {results}/records  tables: {results}/tables  logs: {results}/logs",
        flush=True,
    )
    failed = [line for report in done for line in report.failed]
    broken = {job: e for job, e in reports.items() if not isinstance(e, Report)}
    if broken and not failed and all(isinstance(e, UserError) for e in broken.values()):
        raise next(iter(broken.values()))
    failed += [f"{job}: {type(error).__name__}: {error}" for job, error in broken.items()]
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} failed:", *failed]))
