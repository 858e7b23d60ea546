"""Study 5: batches that are too small."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Unpack

from normbench.claims.rules import MARGIN, Ends, Judgement, Part, every
from normbench.claims.studies.claim import StudyClaims, excess, ratio, total
from normbench.probes.batch_noise import number
from normbench.studies.found import ACCURACY, Found, Measure, Record

CLAIMS = StudyClaims()

SMALL, ENOUGH = (2, 4), (16, 32, 128)
GHOSTS = (2, 8, 32, 128)


def _final_accuracy(record: Record) -> float:
    return float(record["measured"]["val_accuracy"])


REACHED = Measure("accuracy", _final_accuracy, ACCURACY.diverged)
SMALLEST = Measure(
    "smallest σ of a batch over the running σ", lambda record: number(record, "smallest")
)
NOISE = Measure("noise of a logit", lambda record: number(record, "noise"))
GAP = Measure("validation loss less training loss", lambda record: number(record, "gap"))


def _slope(points: tuple[int, ...]) -> list[tuple[float, int]]:
    """Weights whose sum with a quantity's means is its slope against log2 of the size."""
    logs = [math.log2(point) for point in points]
    middle = fmean(logs)
    spread = sum((log - middle) ** 2 for log in logs)
    return [((log - middle) / spread, point) for log, point in zip(logs, points, strict=True)]


@CLAIMS.claim(
    title="BatchNorm needs batches of 8 to 16",
    sentence="In batches of a few images BatchNorm does worse than GroupNorm; from 8 to 16 images "
    "on it does not.",
    texts="ABD",
    source="The texts' rule of thumb; Wu & He 2018.",
    measured="Accuracy at learning rate 0.01, groupnorm less batchnorm, at each batch size.",
    rule=f"It is above {MARGIN} at 2 and 4, and below {MARGIN} at 16, 32 and 128.",
)
def batchnorm_needs_batches(found: Found) -> Judgement:
    def gap(size: int, **ends: Unpack[Ends]) -> Part:
        return excess(
            found,
            REACHED,
            {"norm": "groupnorm", "batch_size": size},
            {"norm": "batchnorm", "batch_size": size},
            f"groupnorm − batchnorm, batch size {size}",
            **ends,
        )

    return every(
        [gap(size, low=MARGIN) for size in SMALL] + [gap(size, high=MARGIN) for size in ENOUGH]
    )


@CLAIMS.claim(
    title="In small batches some channel's σ comes near 0",
    sentence="The smaller the batch, the closer the smallest standard deviation of a channel is to "
    "0, and the larger what it is divided by it.",
    texts="ABD",
    source="The texts' explanation.",
    measured="The batch_noise probe: of each layer the smallest σ of a batch over the running σ, "
    "median over batches, mean over layers; as ratios between batch sizes, batchnorm.",
    rule="The ratios 2 / 8, 8 / 32 and 32 / 128 are below 1.",
)
def smallest_sigma_comes_near_zero(found: Found) -> Judgement:
    of = {"part": "sizes", "norm": "batchnorm"}
    return every(
        ratio(
            found, SMALLEST, of | {"batch_size": small}, of | {"batch_size": large},
            f"{small} / {large}", high=1,
        )
        for small, large in ((2, 8), (8, 32), (32, 128))
    )  # fmt: skip


@CLAIMS.claim(
    title="The larger the batch, the less noise and regularization",
    sentence="The noise of a batch's statistics regularizes; larger batches have less of both.",
    texts="ABD",
    source="The texts' explanation; Hoffer, Hubara & Soudry 2017.",
    measured="The batch_noise probe, ghost batches of 2, 8, 32 and 128 inside of 128: slopes "
    "against log2 of the size, of the noise of a logit (in training mode), and of the distance "
    "between training and validation loss (in evaluation mode).",
    rule="The slope of the noise is below 0, that of the distance above 0.",
)
def larger_batches_regularize_less(found: Found) -> Judgement:
    terms = [
        (weight, {"part": "ghosts", "norm.layer.size": size}) for weight, size in _slope(GHOSTS)
    ]
    return every(
        [
            total(found, NOISE, terms, "slope", high=0),
            total(found, GAP, terms, "slope", low=0),
        ]
    )


@CLAIMS.claim(
    title="Statistics of 2 images on each device spoil a batch of 128",
    sentence="Where a batch is spread over devices with few images each, its statistics have to be "
    "synchronized.",
    texts="ABD",
    source="A remark of the texts.",
    measured="Accuracy with ghost batches of 128, which is what synchronized statistics are, less "
    "that with ghost batches of 2, both inside of 128.",
    rule=f"It is above {MARGIN}.",
)
def statistics_have_to_be_synchronized(found: Found) -> Judgement:
    one, other = ({"part": "ghosts", "norm.layer.size": size} for size in (128, 2))
    return every([excess(found, REACHED, one, other, "ghosts of 128 − of 2", low=MARGIN)])
