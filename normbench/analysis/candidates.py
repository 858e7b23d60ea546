"""How close candidate protocols come to the article's cells, from the records of their runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from normbench.analysis.differences import canonical, departures
from normbench.analysis.groups import groups, protocol_of
from normbench.analysis.reference import GUESSING, article_cells, calibrated_on
from normbench.store.records import Record

Place = tuple[str, int, float]  # norm, batch size, learning rate
Outcomes = dict[Place, list[tuple[float, float]]]  # accuracy and loss of each run

ACCURACY_TARGET, MEAN_TARGET = 0.03, 0.015  # largest and mean absolute difference
# A loss that is not finite enters the second criterion as this one, far above any other.
DIVERGED_LOSS = 100.0


@dataclass(frozen=True)
class Candidate:
    """A protocol, and what its runs measured.

    Attributes:
        label: how it departs from the default protocol.
        runs: what they came to. A diverged run has the accuracy of guessing.
    """

    label: str
    runs: Outcomes

    def accuracy(self, place: Place) -> float:
        return statistics.fmean(accuracy for accuracy, _ in self.runs[place])

    def log_loss(self, place: Place) -> float:
        return math.log(statistics.fmean(loss for _, loss in self.runs[place]))

    def accuracy_differences(self) -> list[float]:
        """Ours minus the article's, for each cell that has runs."""
        return [
            self.accuracy(place) - target.accuracy_mean
            for place, target in targets().items()
            if place in self.runs
        ]

    def log_loss_differences(self) -> list[float]:
        return [
            self.log_loss(place) - math.log(target.loss_mean)
            for place, target in targets().items()
            if place in self.runs
        ]

    @property
    def score(self) -> tuple[int, float, float]:
        """What candidates are ranked by: cells that lack runs, then both mean differences."""
        accuracy, loss = self.accuracy_differences(), self.log_loss_differences()
        return len(targets()) - len(accuracy), mean_size(accuracy), mean_size(loss)

    def patterns(self) -> list[bool | None]:
        """Whether each of PATTERNS shows; None where a cell that it needs has no runs."""
        shown: list[bool | None] = []
        for _, holds in PATTERNS:
            try:
                shown.append(holds(self))
            except KeyError:
                shown.append(None)
        return shown


def mean_size(differences: list[float]) -> float:
    return statistics.fmean(map(abs, differences))


# What the article's cells show besides their numbers: in words, and whether a candidate shows it.
PATTERNS: tuple[tuple[str, Callable[[Candidate], bool]], ...] = (
    (
        "BatchNorm is below no norm at batch size 2",
        lambda c: all(
            c.accuracy(("batchnorm", 2, lr)) < c.accuracy(("none", 2, lr)) for lr in (0.01, 0.001)
        ),
    ),
    (
        "BatchNorm's loss at 2 / 0.01 is the largest of all",
        lambda c: (
            max(c.log_loss(place) for place in targets()) == c.log_loss(("batchnorm", 2, 0.01))
        ),
    ),
    (
        "no norm trains at 2 / 0.01, at least to 0.4",
        lambda c: min(accuracy for accuracy, _ in c.runs["none", 2, 0.01]) >= 0.4,
    ),
    (
        "LayerNorm is at its best at 2 / 0.01",
        lambda c: (
            c.accuracy(("layernorm", 2, 0.01))
            == max(c.accuracy(place) for place in targets() if place[0] == "layernorm")
        ),
    ),
)


class Target(NamedTuple):
    """What the article says of a cell, where it says both.

    Attributes:
        accuracy_mean, loss_mean: over its runs.
    """

    accuracy_mean: float
    loss_mean: float


def targets() -> dict[Place, Target]:
    """The article's cells that decide."""
    return {
        (cell.norm, cell.batch_size, cell.lr): Target(cell.accuracy_mean, cell.loss_mean)
        for cell in article_cells()
        if calibrated_on(cell.model, cell.norm)
        and cell.accuracy_mean is not None
        and cell.loss_mean is not None
    }


def candidates(
    records: list[Record], default: Mapping[str, Any], norms: Mapping[str, Mapping[str, Any]]
) -> list[Candidate]:
    """Every protocol among the records, the best first.

    A norm with settings of its own (such as a running average's momentum) makes another candidate,
    with the runs of the other norms beside it.

    Args:
        records: of runs of the calibrated model.
        default: the default protocol, as ``protocol_of`` gives it.
        norms: name -> the norm's own settings.
    """
    found = []
    for _, group in groups(records, lambda r: canonical(protocol_of(r))):
        label = departures(_stated(default), _stated(protocol_of(group[0])))
        plain: Outcomes = {}
        changed = []
        for _, same in groups(group, lambda r: canonical(r["config"]["norm"])):
            norm = same[0]["config"]["norm"]
            change = departures(norms[norm["name"]], norm, "norm.")
            runs = _runs(same)
            if change:
                changed.append((f"{norm['name']} with {change}", norm["name"], runs))
            else:
                plain |= runs
        if plain:
            found.append(Candidate(label, plain))
        for change, name, runs in changed:
            others = {place: r for place, r in plain.items() if place[0] != name}
            found.append(Candidate(", ".join(filter(None, [label, change])), others | runs))
    return sorted((c for c in found if c.accuracy_differences()), key=lambda c: (c.score, c.label))


def _stated(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Without the size of images that the model is told: it follows from the data's."""
    model = {k: v for k, v in protocol["model"].items() if k != "image_size"}
    return {**protocol, "model": model}


def _runs(records: Iterable[Record]) -> Outcomes:
    runs: Outcomes = {}
    for record in records:
        place = record["config"]["norm"]["name"], record["batch_size"], record["lr"]
        if record["status"] == "finished":
            last = record["epochs"][-1]
            measured = last["val_accuracy"], last["val_loss"]
        else:
            measured = GUESSING, DIVERGED_LOSS
        runs.setdefault(place, []).append(measured)
    return runs
