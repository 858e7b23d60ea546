"""Cells and runs: which a command covers, which are missing, and the order they are trained in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from normbench.config import run_key
from normbench.engine.lanes import Event, Lanes
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


class Missing:
    """The runs of a grid that have no record yet, handed out one by one.

    A run that is handed out is claimed for this process until it is finished, so that processes
    that share a results folder share its work.

    Args:
        runs: what has to have a record in the end.
        store: where records are.
        force: hand out runs that have a record, too.
        found: called with a run that needs no training here, and its record.
    """

    def __init__(
        self,
        runs: list[Run],
        store: RecordStore,
        force: bool,
        found: Callable[[Run, dict[str, Any]], None],
    ):
        self.store, self.force, self.found = store, force, found
        self.open = list(runs)
        self.claims: dict[str, ExitStack] = {}

    def take(self) -> Run | None:
        """A run to train; None while other processes train all that is open."""
        for run in list(self.open):
            if self._has_record(run):
                continue
            with ExitStack() as stack:
                if not stack.enter_context(self.store.claim(run.key)):
                    continue
                if self._has_record(run):  # finished between the look and the claim
                    continue
                self.open.remove(run)
                self.claims[run.key] = stack.pop_all()
                return run
        return None

    def finish(self, run: Run, record: dict[str, Any] | None) -> None:
        """Store the record of a run that was handed out, if it came to one, and give it free."""
        with self.claims.pop(run.key):
            if record is not None:
                self.store.write(record)

    def close(self) -> None:
        """Give everything free that is handed out."""
        for claim in self.claims.values():
            claim.close()
        self.claims.clear()

    def _has_record(self, run: Run) -> bool:
        record = None if self.force else self.store.read(run.key)
        if record is not None:
            self.open.remove(run)
            self.found(run, record)
        return record is not None


def train_missing(
    missing: Missing,
    lanes: Lanes,
    started: Callable[[Run], None],
    handle: Callable[[Event], dict[str, Any] | None],
) -> None:
    """Keep the lanes busy until every run has a record or has failed.

    Args:
        missing: the runs.
        lanes: what trains them.
        started: called with a run before it trains.
        handle: called with every event; returns the record of a run that ended with a result.
    """
    with closing(lanes), closing(missing):
        busy = 0
        while True:
            while lanes.idle and (run := missing.take()):
                started(run)
                lanes.start(run)
                busy += 1
            if not busy and not missing.open:
                return
            if not busy:
                time.sleep(WAIT_FOR_OTHERS)
                continue
            # with lanes to spare, look again now and then at what other processes hold
            waiting_for_others = missing.open and lanes.idle
            for event in lanes.wait(WAIT_FOR_OTHERS if waiting_for_others else None):
                record = handle(event)
                if event.ended:
                    missing.finish(event.task, record)
                    busy -= 1
