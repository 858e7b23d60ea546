"""The same budget for every norm: which settings are tried, and which of them the runs choose.

As AlgoPerf tunes (Dahl et al. 2023, https://arxiv.org/abs/2306.07179): settings are points of a
low-discrepancy sequence, in log scale, the same for everyone; what chooses among them, runs of
other seeds on a part of the training images, is not what is reported.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from normbench.store.records import Record

DIGITS = 3  # of what is tried, so that it can be typed and read


class Candidate(NamedTuple):
    """Settings that are tried.

    Attributes:
        lr: the learning rate.
        weight_decay: of the optimizer; None where that is not tuned.
    """

    lr: float
    weight_decay: float | None

    def __str__(self) -> str:
        decay = "" if self.weight_decay is None else f", weight decay {self.weight_decay:g}"
        return f"{self.lr:g}{decay}"


@dataclass(frozen=True)
class Tuning:
    """How settings are chosen, alike for every norm and batch size.

    Attributes:
        budget: how many are tried.
        lr: the range of learning rates.
        weight_decay: the range of weight decays; None: they are left as they are.
        seeds: of the runs that choose; others are reported on.
        held_out: the share of the training images that they are chosen on.
    """

    budget: int
    lr: tuple[float, float]
    weight_decay: tuple[float, float] | None
    seeds: tuple[int, ...]
    held_out: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Tuning | None:
        """From a checked config with ``tune`` and ``tuning``; None where that is off."""
        if not config.get("tune"):
            return None
        own = config["tuning"]
        return cls(
            budget=config["tune"],
            lr=tuple(own["lr"]),
            weight_decay=tuple(own["weight_decay"]) if own["weight_decay"] else None,
            seeds=tuple(own["seeds"]),
            held_out=own["held_out"],
        )

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Halton's sequence without its first point, a corner: a larger budget tries the same
        settings and more."""
        from scipy.stats import qmc

        ranges = [self.lr, *([self.weight_decay] if self.weight_decay else [])]
        sequence = qmc.Halton(len(ranges), scramble=False)
        sequence.fast_forward(1)
        found = []
        for point in sequence.random(self.budget):
            values = [
                float(f"{low * (high / low) ** share:.{DIGITS}g}")
                for (low, high), share in zip(ranges, point.tolist(), strict=True)
            ]
            found.append(Candidate(values[0], values[1] if self.weight_decay else None))
        return tuple(dict.fromkeys(found))

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates among the candidates."""
        return tuple(dict.fromkeys(candidate.lr for candidate in self.candidates))

    def settings(self, record: Record) -> Candidate:
        """What of a run's settings is tuned."""
        decay = record["config"]["optimizer"].get("weight_decay")
        return Candidate(record["lr"], decay if self.weight_decay else None)

    def tried(self, record: Record) -> Candidate | None:
        """Which candidate a run tried; None of runs that are not for choosing."""
        candidate = self.settings(record)
        chooses = record["seed"] in self.seeds and self.held_out == held_out(record)
        return candidate if chooses and candidate in self.candidates else None


def held_out(record: Record) -> float:
    """The share of the training images that a run was evaluated on; 0: on the validation split."""
    return record["config"]["data"].get("held_out", 0.0)


@dataclass(frozen=True)
class Choice:
    """What the runs of one norm and batch size chose.

    Attributes:
        best: None if no candidate has a run that finished, or runs lack.
        accuracies: of each candidate that has runs, on the part held out, in the mean over seeds;
            a run that diverged counts as 0.
        diverged: how many runs did.
        lacking: how many runs there are not.
        edges: in words, at which ends of what was tried the best lies.
    """

    best: Candidate | None
    accuracies: Mapping[Candidate, float]
    diverged: int
    lacking: int
    edges: tuple[str, ...]


def choose(tuning: Tuning, records: Iterable[Record]) -> Choice:
    """The candidate with the best accuracy on the part held out; of equals, with the lower loss.

    Args:
        tuning: how.
        records: of one norm and batch size; those that tried no candidate are left aside.
    """
    runs: dict[Candidate, list[Record]] = {}
    for record in records:
        if candidate := tuning.tried(record):
            runs.setdefault(candidate, []).append(record)
    lacking = len(tuning.candidates) * len(tuning.seeds) - sum(map(len, runs.values()))
    diverged = sum(record["status"] == "diverged" for of in runs.values() for record in of)
    accuracies = {c: _mean(runs[c], "val_accuracy", 0.0) for c in tuning.candidates if c in runs}
    finished = {
        c: (accuracies[c], -_mean(runs[c], "val_loss", float("inf")))
        for c in accuracies
        if any(record["status"] == "finished" for record in runs[c])
    }
    best = max(finished, key=finished.__getitem__) if finished and not lacking else None
    return Choice(best, accuracies, diverged, lacking, _edges(tuning, best) if best else ())


def _mean(records: Iterable[Record], measure: str, diverged: float) -> float:
    return statistics.fmean(
        record["epochs"][-1][measure] if record["status"] == "finished" else diverged
        for record in records
    )


def _edges(tuning: Tuning, best: Candidate) -> tuple[str, ...]:
    found = []
    for what, place in (("learning rate", 0), ("weight decay", 1)):
        values = sorted({v for c in tuning.candidates if (v := c[place]) is not None})
        if len(values) > 1 and best[place] in (values[0], values[-1]):
            end = "lowest" if best[place] == values[0] else "highest"
            found.append(f"the {end} {what} tried")
    return tuple(found)
