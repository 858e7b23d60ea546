"""Study 14: fewer steps, and sigmoids."""

from __future__ import annotations

from statistics import fmean

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess, ratio
from normbench.studies.found import ACCURACY, Found, Measure, Record

CLAIMS = StudyClaims()

RATES = 0.03, 0.01, 0.003
FASTER = 2, 3
COMPETITIVE = 0.1  # of accuracy


def _lowest(record: Record) -> float:
    return min(loss for loss in record["measured"]["val_loss"] if loss is not None)


LOWEST = Measure("lowest validation loss", _lowest, float("inf"))


def _steps_to(level: float) -> Measure:
    def steps(record: Record) -> float:
        measured = record["measured"]
        looks = zip(measured["at"], measured["val_loss"], strict=True)
        reached = (at for at, loss in looks if loss is not None and loss <= level)
        return float(next(reached, measured["at"][-1]))

    return Measure("steps to none's lowest validation loss", steps)


@CLAIMS.claim(
    title="BatchNorm trains 2 to 3 times as fast",
    sentence="With BatchNorm training takes a half to a third of the steps.",
    texts="BD",
    source="A remark of the texts; Ioffe & Szegedy 2015, section 4.2.",
    measured="The curves probe at three constant learning rates: steps until the validation loss "
    "is at the mean over seeds of none's lowest, each norm at the rate where that is soonest (of "
    "none: where its lowest loss is lowest); a run that never gets there counts with all its "
    "steps; as a ratio none / batchnorm.",
    rule=f"It is from {FASTER[0]} to {FASTER[1]}.",
    theirs="Inception on ImageNet: 14 times fewer steps, at five times the learning rate.",
)
def trains_two_to_three_times_as_fast(found: Found) -> Judgement:
    def mean(measure: Measure, norm: str, lr: float) -> float:
        values = found.numbers(measure, part="speed", norm=norm, lr=lr)
        return fmean(values) if values else float("inf")

    rate = min(RATES, key=lambda lr: mean(LOWEST, "none", lr))
    steps = _steps_to(mean(LOWEST, "none", rate))
    fastest = min(RATES, key=lambda lr: mean(steps, "batchnorm", lr))
    none = {"part": "speed", "norm": "none", "lr": rate}
    batchnorm = {"part": "speed", "norm": "batchnorm", "lr": fastest}
    low, high = FASTER
    return every([ratio(found, steps, none, batchnorm, "none / batchnorm", low=low, high=high)])


@CLAIMS.claim(
    title="Sigmoids become competitive",
    sentence="With BatchNorm a network of sigmoids does nearly as well as one of ReLUs.",
    texts="BD",
    source="Ioffe & Szegedy 2015, section 4.2 and figure 3.",
    measured="Accuracy of batchnorm at batch size 128 and learning rate 0.01, sigmoid less ReLU.",
    rule=f"It is above −{COMPETITIVE}.",
    theirs="Inception on ImageNet: 69.8% with sigmoids and BatchNorm, 72.2% with ReLUs alone.",
)
def sigmoids_become_competitive(found: Found) -> Judgement:
    of = {"part": "sigmoid", "norm": "batchnorm"}
    one, other = (of | {"model.activation": name} for name in ("sigmoid", "relu"))
    return every([excess(found, ACCURACY, one, other, "sigmoid − ReLU", low=-COMPETITIVE)])
