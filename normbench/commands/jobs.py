"""What commands share that have runs trained.

A job is one model and norm, or a part of their grid; a sweep is several jobs. A sweep
(``hydra_plugins.normbench_sweeper``) checks all its jobs before the first one trains, and
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
from normbench.config import AXES, check_batch_sizes, check_run, drop_replaced_settings
from normbench.data import Dataset, load_dataset
from normbench.engine.lanes import Event
from normbench.environment import environment
from normbench.errors import RunFailed, UserError
from normbench.grid import Missing, Run, announce, runs_of, runs_of_part, train_missing
from normbench.progress import Progress, preparation_progress
from normbench.records import SCHEMA, RecordStore

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of a job's runs. failed: one line each."""

    trained: int = 0
    found: int = 0
    failed: list[str] = field(default_factory=list)


def runs_here(hydra: DictConfig) -> bool:
    """Whether a sweep's jobs run in the process that it was typed to."""
    return hydra.launcher._target_.endswith(".BasicLauncher")


def check_job(cfg: DictConfig, overrides: list[str], here: bool = True) -> Dataset:
    """Raise UserError for whatever is wrong with a job.

    Args:
        cfg: the job's config.
        overrides: what was typed, the choices of a sweep among it.
        here: whether this process is to train it; otherwise its device is another's.

    Returns:
        The job's data, prepared if need be.
    """
    check_run(cfg)
    drop_replaced_settings(cfg, overrides)
    if here:
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
    settings: dict[str, Any],
    store: RecordStore,
    steps_of: Callable[[int], int] = lambda steps: steps,
) -> Report:
    """Train the runs of a job that have no record, or have its probe measure them.

    Args:
        cfg: the job's config.
        settings: what can change the outcome of its runs (``config.outcome_settings``).
        store: where their records are.
        steps_of: how many of a run's steps are taken.
    """
    device, _ = assemble.resolve_device(cfg)
    data = job_data(cfg)
    grid, runs = runs_of(cfg.grid, settings), runs_of_part(cfg.grid, settings)
    # a run's last bits may depend on its threads, which must not depend on how the grid is split
    lanes, threads = assemble.split_cores(cfg.engine, len(grid), device)
    announce(store.results, grid)
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
                "config": settings | {"grid": {axis: list(cfg.grid[axis]) for axis in AXES}},
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
