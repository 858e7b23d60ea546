"""How close candidate protocols come to the article's cells, from the records of their runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from normbench.analysis.calibrations import Calibration, calibrations
from normbench.analysis.cells import Settings
from normbench.analysis.differences import canonical, departures
from normbench.analysis.groups import groups, protocol_of
from normbench.analysis.reference import GUESSING, article_cells
from normbench.store.records import Record

Place = tuple[str, int, float]  # norm, batch size, learning rate
Outcomes = dict[Place, list[tuple[float, float]]]  # accuracy and loss of each run

MODEL = "cnn4"  # whose cells protocols are calibrated on
ACCURACY_TARGET, MEAN_TARGET = 0.03, 0.015  # largest and mean absolute difference
# A loss that is not finite enters the second criterion as this one, far above any other.
DIVERGED_LOSS = 100.0


class Score(NamedTuple):
    """How far a candidate is from some of the article's cells, of those that it has runs of.

    Attributes:
        lacking: how many of them it has no runs of.
        mean: absolute difference in accuracy.
        log_loss: mean absolute difference in log loss.
        largest: absolute difference in accuracy.
    """

    lacking: int
    mean: float
    log_loss: float
    largest: float


@dataclass(frozen=True)
class Candidate:
    """A protocol, and what its runs measured.

    Attributes:
        label: how it departs from the default protocol.
        settings: norm -> the settings of its runs.
        runs: what they came to. A diverged run has the accuracy of guessing.
    """

    label: str
    settings: Mapping[str, Settings]
    runs: Outcomes

    def accuracy(self, place: Place) -> float:
        return statistics.fmean(accuracy for accuracy, _ in self.runs[place])

    def log_loss(self, place: Place) -> float:
        return math.log(statistics.fmean(loss for _, loss in self.runs[place]))

    def score(self, places: Iterable[Place]) -> Score | None:
        """Over these of the article's cells; None if it has runs of none."""
        targets, places = article_targets(), list(places)
        known = [place for place in places if place in self.runs]
        if not known:
            return None
        accuracy = [abs(self.accuracy(p) - targets[p].accuracy_mean) for p in known]
        loss = [abs(self.log_loss(p) - math.log(targets[p].loss_mean)) for p in known]
        lacking = len(places) - len(known)
        mean, log_loss = statistics.fmean(accuracy), statistics.fmean(loss)
        return Score(lacking, mean, log_loss, max(accuracy))

    def patterns(self) -> list[bool | None]:
        """Whether each of PATTERNS shows; None where a cell that it needs has no runs."""
        shown: list[bool | None] = []
        for _, holds in PATTERNS:
            try:
                shown.append(holds(self))
            except KeyError:
                shown.append(None)
        return shown

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that it is; None of those that were not chosen."""
        for calibration in calibrations():
            known = calibration.settings
            if all(
                canonical(of) == canonical(known.get((MODEL, norm)))
                for norm, of in self.settings.items()
            ):
                return calibration
        return None


# What the article's cells show besides their numbers: in words, and whether a candidate shows it.
PATTERNS: tuple[tuple[str, Callable[[Candidate], bool]], ...] = (
    (
        "BatchNorm is below no norm at batch size 2",
        lambda c: all(
            c.accuracy(("batchnorm", 2, lr)) < c.accuracy(("none", 2, lr)) for lr in (0.01, 0.001)
        ),
    ),
    (
        "BatchNorm's loss at 2 / 0.01 is above all of its own, of no norm's and of LayerNorm's",
        lambda c: (
            max(c.log_loss(p) for p in places_of("none", "batchnorm", "layernorm"))
            == c.log_loss(("batchnorm", 2, 0.01))
        ),
    ),
    (
        "no norm trains at 2 / 0.01, at least to 0.4",
        lambda c: min(accuracy for accuracy, _ in c.runs["none", 2, 0.01]) >= 0.4,
    ),
    (
        "LayerNorm is at its best at 2 / 0.01",
        lambda c: (
            c.accuracy(("layernorm", 2, 0.01)) == max(map(c.accuracy, places_of("layernorm")))
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


def article_targets() -> dict[Place, Target]:
    """The article's cells of the model that is calibrated."""
    return {
        (cell.norm, cell.batch_size, cell.lr): Target(cell.accuracy_mean, cell.loss_mean)
        for cell in article_cells()
        if cell.model == MODEL and cell.accuracy_mean is not None and cell.loss_mean is not None
    }


def places_of(*norms: str) -> list[Place]:
    """The article's cells of some norms, in its order."""
    return [place for place in article_targets() if place[0] in norms]


def candidates(
    records: list[Record],
    default: Mapping[str, Any],
    norms: Mapping[str, Mapping[str, Any]],
    deciding: Sequence[Place],
) -> list[Candidate]:
    """Every protocol among the records, the best first.

    A norm with settings of its own (such as a running average's momentum) makes another candidate,
    with the runs of the other norms beside it.

    Args:
        records: of runs of the calibrated model.
        default: the default protocol, as ``protocol_of`` gives it.
        norms: name -> the norm's own settings.
        deciding: cells that they are ranked by: how many lack runs, then both mean differences.
    """
    found = []
    for _, group in groups(records, lambda r: canonical(protocol_of(r))):
        protocol = protocol_of(group[0])
        label = departures(_stated(default), _stated(protocol))
        plain: Outcomes = {}
        own: dict[str, Settings] = {}
        changed = []
        for _, same in groups(group, lambda r: canonical(r["config"]["norm"])):
            norm = same[0]["config"]["norm"]
            change = departures(norms[norm["name"]], norm, "norm.")
            settings = {norm["name"]: {**protocol, "norm": norm}}
            if change:
                changed.append((f"{norm['name']} with {change}", settings, _runs(same)))
            else:
                plain |= _runs(same)
                own |= settings
        if plain:
            found.append(Candidate(label, own, plain))
        for change, settings, runs in changed:
            others = {place: r for place, r in plain.items() if place[0] not in settings}
            words = ", ".join(filter(None, [label, change]))
            found.append(Candidate(words, own | settings, others | runs))
    scored = [(candidate.score(deciding), candidate) for candidate in found]
    ranked = sorted(((s[:3], c.label, c) for s, c in scored if s), key=lambda of: of[:2])
    return [candidate for *_, candidate in ranked]


class LeftOut(NamedTuple):
    """A norm that was left out, and what the others say of it.

    Attributes:
        norm: its name.
        chosen: the candidates that come closest to the cells of the other norms: several, where
            they differ in the left out norm's own settings alone.
        fitted: their mean absolute difference in accuracy, over the cells of the other norms.
        predicted: theirs over the cells of the norm that was left out, in the mean.
    """

    norm: str
    chosen: list[Candidate]
    fitted: float
    predicted: float


def leave_one_norm_out(found: Iterable[Candidate]) -> list[LeftOut]:
    """How well the choice among candidates foretells a norm that it does not know.

    Returns:
        A result a norm, from the candidates that have runs of every cell; none if these are of one
        protocol, as there is nothing to choose then.
    """
    targets = article_targets()
    whole = [candidate for candidate in found if targets.keys() <= candidate.runs.keys()]
    if len({_protocol(candidate) for candidate in whole}) < 2:
        return []
    results = []
    for norm in dict.fromkeys(norm for norm, *_ in targets):
        own = places_of(norm)
        others = [place for place in targets if place not in own]
        scores = [(_mean(candidate, others), candidate) for candidate in whole]
        best = min(mean for mean, _ in scores)
        chosen = [candidate for mean, candidate in scores if mean == best]
        predicted = statistics.fmean(_mean(candidate, own) for candidate in chosen)
        results.append(LeftOut(norm, chosen, best, predicted))
    return results


def _protocol(candidate: Candidate) -> str:
    settings = next(iter(candidate.settings.values()))
    return canonical({k: v for k, v in settings.items() if k != "norm"})


def _mean(candidate: Candidate, places: Sequence[Place]) -> float:
    score = candidate.score(places)
    assert score  # there are runs of every cell
    return score.mean


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
