"""Training with learning rates that a job's runs choose first, on a part of the training images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from normbench.analysis.tuning import Candidate, Choice, choose
from normbench.grid import Grid, Run
from normbench.job import Job, Tuned
from normbench.runs.train import Report, train_runs
from normbench.settings import Settings


def tune_and_train(job: Job) -> Report:
    """Try every candidate, and train with the one that each batch size chose.

    What is chosen follows from the records, so that an interrupted job goes on where it was, and
    another one that tries more candidates has the runs of these already.
    """
    assert job.tuned
    by, sizes = job.tuned.by, job.part.batch_size
    report = train_runs(*trials_of(job))
    if report.failed:  # without these nothing is chosen
        return report
    records = list(job.store.read_many(report.keys).values())
    chosen: list[Run] = []
    for size in sizes:
        choice = choose(by, [record for record in records if record["batch_size"] == size])
        print(f"{job.settings['norm']['name']}, batch size {size}: {_in_words(choice)}", flush=True)
        if best := choice.best:
            settings = _with(job.settings, best)
            chosen += [Run(settings, size, best.lr, seed) for seed in job.grid.seeds]
    if not chosen:
        return report
    rates = tuple(dict.fromkeys(run.lr for run in chosen))
    final = train_runs(replace(job, **_grid(Grid(sizes, rates, job.grid.seeds))), chosen)
    return replace(final, trained=report.trained + final.trained, found=report.found + final.found)


def trials_of(job: Job) -> tuple[Job, list[Run]]:
    """What a tuned job tries: as a job with the data that choose, and its runs."""
    assert job.tuned
    by, trials = job.tuned.by, _trials(job, job.tuned)
    tried = [
        Run(_with(trials.settings, candidate), size, candidate.lr, seed)
        for size in job.part.batch_size
        for candidate in by.candidates
        for seed in by.seeds
    ]
    return trials, tried


def _trials(job: Job, tuned: Tuned) -> Job:
    """What the runs that choose have in common: the job, but for data and grid."""
    data = job.settings["data"] | {"held_out": tuned.by.held_out}
    return replace(
        job,
        settings=job.settings | {"data": data},
        data=tuned.data,
        recipe=replace(job.recipe, source=tuned.source),
        **_grid(Grid(job.part.batch_size, tuned.by.rates, tuned.by.seeds)),
    )


def _grid(grid: Grid) -> dict[str, Any]:
    return {"grid": grid, "part": grid}


def _with(settings: Settings, candidate: Candidate) -> Settings:
    if candidate.weight_decay is None:
        return settings
    optimizer = settings["optimizer"] | {"weight_decay": candidate.weight_decay}
    return settings | {"optimizer": optimizer}


def _in_words(choice: Choice) -> str:
    if choice.best is None:
        return "no learning rate that was tried trains"
    rates = sorted(choice.accuracies)
    words = (
        f"learning rate {choice.best}, chosen of {len(rates)} from {rates[0]} to {rates[-1]} "
        f"(accuracy {choice.accuracies[choice.best]:.3f} on the part held out)"
    )
    return f"{words}: {' and '.join(choice.edges)}" if choice.edges else words
