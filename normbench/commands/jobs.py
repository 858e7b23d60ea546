"""What commands share that have runs trained: a job is one model and norm, a sweep several jobs.

A sweep (``hydra_plugins.normbench_sweeper``) checks all its jobs before the first one trains, and
sums up their reports.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from normbench import assemble
from normbench.config import check_batch_sizes, check_run, drop_replaced_settings
from normbench.data import Dataset, load_dataset
from normbench.engine.lanes import Event
from normbench.environment import environment
from normbench.errors import RunFailed, UserError
from normbench.grid import Missing, Run, train_missing
from normbench.progress import Progress, preparation_progress
from normbench.records import SCHEMA, RecordStore

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of a job's runs. failed: one line each."""

    trained: int = 0
    found: int = 0
    failed: list[str] = field(default_factory=list)


def check_job(cfg: DictConfig, overrides: list[str]) -> Dataset:
    """Raise UserError for whatever is wrong with a job; returns its data, prepared if need be."""
    check_run(cfg)
    drop_replaced_settings(cfg, overrides)
    device, _ = assemble.resolve_device(cfg)
    assemble.prepare_lanes(device)
    assemble.check_parts(cfg, num_classes=10)
    data = job_data(cfg)
    check_batch_sizes(cfg.grid.batch_size, len(data.train.labels))
    return data


def job_data(cfg: DictConfig) -> Dataset:
    return _load(OmegaConf.to_yaml(cfg.data, resolve=True))


@cache  # jobs of one sweep share their data, opened and checked once
def _load(settings: str) -> Dataset:
    with preparation_progress() as progress:
        return load_dataset(OmegaConf.create(settings), progress)


def train_runs(
    cfg: DictConfig,
    runs: list[Run],
    store: RecordStore,
    steps_of: Callable[[int], int] = lambda steps: steps,
) -> Report:
    """Train the runs of a job that have no record, or have its probe measure them.

    Args:
        cfg: the job's config.
        runs: of one model and norm.
        store: where their records are.
        steps_of: how many of a run's steps are taken.
    """
    device, _ = assemble.resolve_device(cfg)
    data = job_data(cfg)
    lanes, threads = assemble.split_cores(cfg.engine, len(runs), device)
    where = environment(device, threads) | {"data": data.digest}
    report = Report()
    progress = Progress(
        runs,
        lambda run: steps_of(len(data.train.labels) // run.batch_size * cfg.train.epochs),
        lanes,
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
                "config": run.settings | {"grid": OmegaConf.to_container(cfg.grid)},
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
    return report


def sum_up(done: str, where: str, reports: dict[str, Report | Exception | None]) -> None:
    """Say what became of a sweep's jobs and where everything is.

    Args:
        done: what was done to a run, such as trained.
        where: where to find it all.
        reports: by a job's overrides, what ``main`` returned or raised.

    Raises:
        RunFailed: if anything failed, with a line for each.
        UserError: if all that failed was wrong input.
    """
    fine = [report for report in reports.values() if isinstance(report, Report)]
    trained, found = sum(r.trained for r in fine), sum(r.found for r in fine)
    print(f"{trained} run{'s' * (trained != 1)} {done}, {found} already there. {where}", flush=True)
    failed = [line for report in fine for line in report.failed]
    broken = {job: e for job, e in reports.items() if not isinstance(e, Report)}
    if broken and not failed and all(isinstance(e, UserError) for e in broken.values()):
        raise next(iter(broken.values()))
    failed += [f"{job}: {type(error).__name__}: {error}" for job, error in broken.items()]
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} failed:", *failed]))
