"""Cells and runs: which a command covers, which are missing, and the order they are trained in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from normbench.config import run_key
from normbench.records import RecordStore

WAIT_FOR_OTHERS = 0.5  # seconds between two looks at runs that other processes train


@dataclass(frozen=True)
class Run:
    """One training: a cell and a seed.

    settings: what can change the outcome (``config.outcome_settings``).
    """

    settings: dict[str, Any]
    batch_size: int
    lr: float
    seed: int

    @property
    def key(self) -> str:
        return run_key(self.settings, self.batch_size, self.lr, self.seed)

    def __str__(self) -> str:
        model, norm = self.settings["model"]["name"], self.settings["norm"]["name"]
        return f"{model} {norm} bs={self.batch_size} lr={self.lr:g} seed={self.seed}"


def runs_of(grid: Any, settings: dict[str, Any]) -> list[Run]:
    """Every run of a grid (batch_size, lr, seeds), cell by cell in the grid's order."""
    return [
        Run(settings, batch_size, lr, seed)
        for batch_size in grid.batch_size
        for lr in grid.lr
        for seed in grid.seeds
    ]


def train_missing(
    runs: list[Run],
    store: RecordStore,
    train: Callable[[Run], dict[str, Any] | None],
    found: Callable[[Run, dict[str, Any]], None],
    force: bool = False,
) -> None:
    """Train every run without a record, sharing the work with other processes on this folder.

    Args:
        runs: what has to have a record in the end.
        store: where records are.
        train: trains one run; returns its record, or None if it failed (reported by the callee).
        found: called with a run that needs no training here and its record.
        force: train runs that have a record, too.
    """
    for run in _claimed(runs, store, found, force):
        record = train(run)
        if record is not None:
            store.write(record)


def _claimed(
    runs: list[Run],
    store: RecordStore,
    found: Callable[[Run, dict[str, Any]], None],
    force: bool,
) -> Iterator[Run]:
    """Yield runs to train, each held by this process until the next one is asked for."""
    waiting = list(runs)
    while waiting:
        held_by_others = []
        for run in waiting:
            if not force and (record := store.read(run.key)):
                found(run, record)
                continue
            with ExitStack() as stack:
                if not stack.enter_context(store.claim(run.key)):
                    held_by_others.append(run)
                    continue
                # it may have been finished between the look and the claim
                if not force and (record := store.read(run.key)):
                    found(run, record)
                    continue
                yield run
        waiting = held_by_others
        if waiting:
            time.sleep(WAIT_FOR_OTHERS)
