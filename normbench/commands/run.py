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
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normbench.config import check_run, drop_replaced_settings, outcome_settings
from normbench.environment import available_cores, environment
from normbench.errors import RunFailed, UserError
from normbench.grid import Run, runs_of, train_missing
from normbench.progress import Progress, preparation_progress
from normbench.records import SCHEMA, RecordStore
from normbench.report.tables import norm_tables, write_tables

if TYPE_CHECKING:
    from normbench.data import Dataset

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of a job's runs. failed: one line each."""

    trained: int = 0
    found: int = 0
    failed: list[str] = field(default_factory=list)


def check(cfg: DictConfig, overrides: list[str]) -> None:
    """Raise UserError for whatever is wrong with a job; prepares its data if need be."""
    from normbench.assemble import check_parts, resolve_device

    check_run(cfg)
    drop_replaced_settings(cfg, overrides)
    resolve_device(cfg)
    RecordStore(Path(cfg.results.dir)).make_writable()
    check_parts(cfg, num_classes=10)
    images = len(_data(cfg).train.labels)
    for batch_size in cfg.grid.batch_size:
        if batch_size > images:
            raise UserError(
                f"grid.batch_size={batch_size} is larger than the training set ({images} images): "
                "choose a smaller one"
            )


def main(cfg: DictConfig) -> Report:
    """Train the runs of one job that have no record, print its table, rewrite all tables."""
    import torch

    from normbench.assemble import plan_of, resolve_device
    from normbench.engine.training import train

    check(cfg, list(HydraConfig.get().overrides.task))
    device, precision = resolve_device(cfg)
    threads = available_cores() if cfg.engine.threads == "auto" else cfg.engine.threads
    torch.set_num_threads(threads)
    data = _data(cfg).to(device)
    settings = outcome_settings(cfg, precision, data.identity)
    runs = runs_of(cfg.grid, settings)
    store = RecordStore(Path(cfg.results.dir))
    where = environment(device.type, threads) | {"data": data.digest}
    report = Report()
    progress = Progress(
        runs, lambda run: len(data.train.labels) // run.batch_size * cfg.train.epochs
    )

    def train_one(run: Run) -> dict[str, Any] | None:
        progress.start(run)
        try:
            result = train(plan_of(cfg, run, len(data.classes)), data, device, progress.advance)
        except Exception as error:  # whatever stops this run, the others go on
            reason = (str(error).splitlines() or [""])[0]
            report.failed.append(f"{run}: {type(error).__name__}: {reason}")
            progress.fail(run, report.failed[-1])
            log.info("%s failed", run, exc_info=True)  # the traceback goes to the job's log
            return None
        report.trained += 1
        record = {
            "schema": SCHEMA,
            "key": run.key,
            "config": settings | {"grid": OmegaConf.to_container(cfg.grid)},
            "batch_size": run.batch_size,
            "lr": run.lr,
            "seed": run.seed,
            **asdict(result),
            "environment": where,
        }
        progress.finish(run, record)
        log.info("%s: %s", run, result)
        return record

    def found(run: Run, record: dict[str, Any]) -> None:
        report.found += 1
        progress.found(run, record)

    with closing(progress):
        train_missing(runs, store, train_one, found, cfg.force)
    write_tables(store.folder.parent)
    records = [record for run in runs if (record := store.read(run.key))]
    for heading, table in norm_tables(records):
        print(f"\n{settings['model']['name']} on {data.name}: {heading}\n\n{table}\n", flush=True)
    return report


def _data(cfg: DictConfig) -> Dataset:
    return _load(OmegaConf.to_yaml(cfg.data, resolve=True))


@cache  # jobs of one sweep share their data, opened and checked once
def _load(settings: str) -> Dataset:
    from normbench.data import load_dataset

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
