"""How long runs take, from records of runs that are like them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from normbench.store.records import Record

# Of a run: data, model, norm, probe (or ""), epochs, batch_size, lr, seed.
RunFacts = Mapping[str, Any]
PARTS = ("data", "model", "norm", "probe")


def facts_of(settings: Mapping[str, Any], batch_size: int, lr: float, seed: int) -> RunFacts:
    """What there is to say of a run, from its settings or those of its record."""
    return {
        **{part: settings.get(part, {}).get("name", "") for part in PARTS},
        "epochs": settings["train"].get("epochs"),
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
    }


class Durations:
    """What runs took, on average: those of a kind, or where there is none, those of any norm."""

    def __init__(self, records: Iterable[Record]):
        measured: dict[tuple, list[float]] = {}
        for record in records:
            run = facts_of(record["config"], record["batch_size"], record["lr"], record["seed"])
            for kind in _kinds(run):
                measured.setdefault(kind, []).append(_seconds(record))
        self.means = {kind: statistics.fmean(seconds) for kind, seconds in measured.items()}

    def of(self, run: RunFacts) -> float | None:
        """Seconds; None where nothing like it is measured."""
        return next((self.means[kind] for kind in _kinds(run) if kind in self.means), None)


def _kinds(run: RunFacts) -> Iterator[tuple]:
    """What decides how long a run takes, and what does so roughly."""
    cost = (run["probe"], run["data"], run["model"], run["epochs"], run["batch_size"])
    yield (*cost, run["norm"])
    yield cost


def _seconds(record: Record) -> float:
    """That a run took, or its probe."""
    if "probe" in record["config"]:
        return record.get("seconds", 0.0)
    return record["train_seconds"] + record.get("evaluation_seconds", 0.0)
