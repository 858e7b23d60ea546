"""Training what a job lacks, and summing up what became of a sweep's jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from normbench.engine.lanes import Event
from normbench.environment import environment
from normbench.errors import RunFailed, UserError
from normbench.grid import Run
from normbench.interruption import in_order
from normbench.job import Job
from normbench.parts import make_probe
from normbench.runs.lanes import make_lanes
from normbench.runs.missing import Missing, announce, train_missing
from normbench.runs.progress import Progress
from normbench.store.keys import stable
from normbench.store.records import SCHEMA, Record
from normbench.trackers.tracked import Tracker
from normbench.trackers.tracking import Tracking

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What became of a job's runs.

    Attributes:
        trained, found: how many were trained here, and how many had a record.
        failed: one line each.
        keys: of all of them.
        tables_due: whether the sweep has to print their tables, as they are but a part of a grid,
            or ran elsewhere.
        probe: the name and the class of what measured them, if a probe did.
        tracker: what to tell of tables and figures, too.
    """

    trained: int = 0
    found: int = 0
    failed: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    tables_due: bool = False
    probe: tuple[str, str] | None = None
    tracker: Tracker | None = None


Outcome = Report | Exception | None  # of a job: what it returned, or raised; None if it was lost


def train_runs(job: Job, runs: list[Run] | None = None) -> Report:
    """Train the runs of a job that have no record, or have its probe measure them.

    Args:
        job: what they have in common.
        runs: in place of those of its grid, all that is wanted.
    """
    announce(job.store.results, runs or job.grid.runs(job.settings))
    runs = job.runs if runs is None else runs
    where = environment(job.recipe.device, job.recipe.threads) | {"data": job.data.digest}
    probe = make_probe(job.settings["probe"]) if "probe" in job.settings else None

    def steps_of(run: Run) -> int:
        steps = job.steps(run.batch_size)
        return probe.length(steps) if probe else steps

    report = Report(keys=[run.key for run in runs], tracker=job.tracker)
    tracking = Tracking(None if probe else job.tracker)
    progress = Progress(runs, steps_of, job.lanes)

    def found(run: Run, record: Record) -> None:
        report.found += 1
        if job.recipe.weights and not probe and not job.store.weights(run.key).exists():
            if record["status"] == "finished":
                progress.note(run, "its weights were not kept: force=true trains it again")
        tracking.told(record)
        progress.found(run, record)

    def changed(run: Run, parts: list[str]) -> None:
        progress.note(run, f"{', '.join(parts)} changed since it was trained: trained again")

    def handle(event: Event) -> Record | None:
        run: Run = event.task
        if event.result is not None:
            report.trained += 1
            log.info("%s: %s", run, event.result)
            record = record_of(job, run, event.result, where)
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

    with in_order(), closing(tracking), closing(progress):
        train_missing(
            Missing(runs, job.store, job.force, found, job.outside, changed),
            make_lanes(job.recipe, job.data, job.lanes, job.adaptive),
            progress.start,
            handle,
            tracking.told,
        )
    return report


def record_of(job: Job, run: Run, result: Any, where: Mapping[str, Any]) -> Record:
    """The record of a run of a job.

    Args:
        result: a dataclass of what was measured.
        where: versions, hardware, the data's digest.
    """
    grid = {axis: list(values) for axis, values in job.grid._asdict().items()}
    return {
        "schema": SCHEMA,
        "key": run.key,
        "config": stable(run.settings) | {"grid": grid},
        "batch_size": run.batch_size,
        "lr": run.lr,
        "seed": run.seed,
        **asdict(result),
        "outside": job.outside,
        "norm_layers": job.norm_layers,
        "environment": where,
    }


def tell_of_files(outcomes: Mapping[str, Outcome], files: Mapping[str, Path]) -> None:
    """Have the jobs' tracker told of tables and figures, by their names."""
    reports = [report for report in outcomes.values() if isinstance(report, Report)]
    if tracker := next((report.tracker for report in reports if report.tracker), None):
        with closing(Tracking(tracker)) as tracking:
            tracking.report(files)


def sum_up(done: str, where: str, outcomes: Mapping[str, Outcome]) -> None:
    """Say what became of a sweep's jobs and where everything is.

    Args:
        done: what was done to a run, such as trained.
        where: where to find it all.
        outcomes: by a job's overrides.

    Raises:
        RunFailed: if anything failed, with a line for each.
        UserError: if all that failed was wrong input.
    """
    fine = [report for report in outcomes.values() if isinstance(report, Report)]
    trained, found = sum(r.trained for r in fine), sum(r.found for r in fine)
    print(f"{trained} run{'s' * (trained != 1)} {done}, {found} already there. {where}", flush=True)
    failed = [line for report in fine for line in report.failed]
    broken = {job: e for job, e in outcomes.items() if not isinstance(e, Report)}
    wrong = [e for e in broken.values() if isinstance(e, UserError)]
    if wrong and not failed and len(wrong) == len(broken):
        raise wrong[0]
    failed += [f"{job}: {type(error).__name__}: {error}" for job, error in broken.items()]
    if failed:
        raise RunFailed("\n".join([f"{len(failed)} failed:", *failed]))
