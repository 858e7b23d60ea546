"""What the articles claim of the landscape of the loss, each with its rule, judged from probes.

The rules were fixed before the probes were run. A claim is about batch size 128 and learning rate
0.01, where the probes watch, unless it says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

from normbench.analysis.averages import geometric_mean
from normbench.analysis.welch import Sample, difference
from normbench.claims.claim import Claims
from normbench.claims.evidence import Evidence, Quantity
from normbench.claims.probed import amount, excess, ratio
from normbench.claims.rules import GridPoint, Judgement, Part, every
from normbench.probes import covariate_shift, landscape
from normbench.probes.learning_rate_range import highest_that_trains
from normbench.store.records import Record

POINT: GridPoint = 128, 0.01
SMALLER = 0.9  # of a ratio: what is not smaller than this is not smaller
ALIKE = 0.05  # of a cosine: what differs by less is the same
HIGHER = 10  # times
COST = 1.05, 1.3  # relative to no norm: 10 to 15%, within a factor of two

CLAIMS = Claims()


def _of_shift(key: str) -> Quantity:
    return Quantity(key, "covariate_shift", lambda m: covariate_shift.describe(m)[key])


def _of_landscape(key: str) -> Quantity:
    return Quantity(key, "landscape", lambda m: landscape.describe(m)[key])


def _time_of_a_step(measured: dict[str, Any]) -> float:
    rounds = zip(measured["train"], measured["reference_train"], strict=True)
    return median(own / reference for own, reference in rounds)


SMOOTHNESS = [_of_landscape(key) for key in ("loss range", "gradient change", "β-smoothness")]
LARGEST = Quantity("λmax", "hessian", lambda measured: geometric_mean(measured["largest"]))
STEP_TIME = Quantity("time of a training step", "overhead", _time_of_a_step)


@CLAIMS.claim(
    title="Covariate shift: not smaller with BatchNorm",
    texts="BC",
    sentence="BatchNorm does not work by reducing internal covariate shift: what updating the "
    "earlier layers does to a layer's gradient is with BatchNorm no less than without.",
    source="Santurkar et al. 2018, section 2.2, as the articles retell it.",
    measured="The covariate_shift probe's numbers of each run, averaged over layers and steps: the "
    "L2 difference between a layer's gradients before and after the earlier layers' update, as a "
    "ratio batchnorm over none, and the cosine between the two, as a difference.",
    rule=f"The ratio is above {SMALLER}, and the cosine with batchnorm is at most {ALIKE} above "
    "that with none.",
)
def covariate_shift_is_not_smaller_with_batchnorm(evidence: Evidence) -> Judgement:
    norms = "batchnorm", "none"
    return every(
        [
            ratio(evidence, _of_shift("difference"), *norms, POINT, low=SMALLER),
            excess(evidence, _of_shift("cosine"), *norms, POINT, high=ALIKE),
        ]
    )


@CLAIMS.claim(
    title="BatchNorm makes the landscape of the loss smoother",
    texts="BC",
    sentence="With BatchNorm the loss and its gradient change less along the gradient, and the "
    "loss is less curved.",
    source="Santurkar et al. 2018, section 3, as the articles retell it.",
    measured="Of each run, geometric means over training, as ratios batchnorm over none. From the "
    "landscape probe: the range of the loss along the gradient, the largest change of the gradient "
    "there, the effective β-smoothness. From the hessian probe: its largest eigenvalue.",
    rule="All four ratios are below 1.",
)
def batchnorm_smooths_the_landscape(evidence: Evidence) -> Judgement:
    return every(
        ratio(evidence, quantity, "batchnorm", "none", POINT, high=1)
        for quantity in (*SMOOTHNESS, LARGEST)
    )


@CLAIMS.claim(
    title="BatchNorm allows learning rates 10 times as high and more",
    texts="C",
    sentence="With BatchNorm a network still trains at learning rates that are ten and more times "
    "the highest ones without.",
    source="Bjorck et al. 2018, section 3, as the articles retell it.",
    measured="The learning_rate_range probe (SGD with momentum): each seed's highest learning rate "
    "that trains, as a ratio batchnorm over none. That the true one lies somewhere between it and "
    "the next one tried counts as an error of rounding.",
    rule=f"The ratio is above {HIGHER}.",
)
def batchnorm_allows_ten_times_the_learning_rate(evidence: Evidence) -> Judgement:
    ours, theirs = (_rates_tried(evidence, norm) for norm in ("batchnorm", "none"))
    estimate, caveat = None, ""
    if ours.keys() == theirs.keys():
        estimate = difference(_highest_rate(ours), _highest_rate(theirs))
    else:
        caveat = f"learning_rate_range, {len(ours)} runs of batchnorm and {len(theirs)} of none"
    what = "highest learning rate: batchnorm / none"
    return every([Part(what, estimate, low=HIGHER, caveat=caveat).exp()])


def _rates_tried(evidence: Evidence, norm: str) -> dict[tuple[int, float], Record]:
    """By seed and learning rate, at the claims' batch size."""
    return {
        (record["seed"], record["lr"]): record
        for (of, batch_size, _), cell in evidence.probes.get("learning_rate_range", {}).items()
        if (of, batch_size) == (norm, POINT[0])
        for record in cell.records
    }


def _highest_rate(tried: dict[tuple[int, float], Record]) -> Sample | None:
    """Logarithms of each seed's highest learning rate that trains, known to the next one tried."""
    rates = sorted({lr for _, lr in tried})
    highest = [
        highest_that_trains([record for (of, _), record in tried.items() if of == seed])
        for seed in sorted({seed for seed, _ in tried})
    ]
    known = [rate for rate in highest if not math.isnan(rate)]
    sample = Sample.of([math.log(rate) for rate in known])
    gaps = {low: math.log(high / low) for low, high in pairwise(rates)}
    if sample is None or not gaps:
        return None
    # how far the next one tried is; past the last one, as far as the widest
    return replace(sample, unit=max(gaps.get(rate, max(gaps.values())) for rate in known))


@CLAIMS.claim(
    title="BatchNorm costs 10 to 15% of the time",
    texts="D",
    sentence="A training step takes 10 to 15% longer with BatchNorm than without. That is as much "
    "about a network and its hardware as about the norm: judged is what it costs here.",
    source="The articles' remark on what normalization costs.",
    measured="The overhead probe: the time of a training step at batch size 128 with batchnorm "
    "relative to none, each run's median over rounds.",
    rule=f"It is from {COST[0]} to {COST[1]}, which is within a factor of two of 10 to 15% more.",
)
def batchnorm_costs_10_to_15_percent_of_the_time(evidence: Evidence) -> Judgement:
    low, high = COST
    return every([amount(evidence, STEP_TIME, "batchnorm", POINT, low=low, high=high)])
