"""Study 21: what BatchNorm costs."""

from __future__ import annotations

from statistics import median

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, times
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()

COST = 1.05, 1.3  # relative to no norm: 10 to 15%, within a factor of two, as claim 20 has it
FREE = 1.05


def _median(part: str, reference: str) -> Measure:
    def ratio(record: Record) -> float:
        measured = record["measured"]
        return median(
            own / other for own, other in zip(measured[part], measured[reference], strict=True)
        )

    return Measure("time over that of no norm", ratio)


@CLAIMS.claim(
    title="BatchNorm costs 10 to 15% in training",
    sentence="A training step takes 10 to 15% longer with BatchNorm than without.",
    texts="D",
    source="A remark of the text.",
    measured="The overhead probe: time of a training step at batch size 128 relative to none, each "
    "run's median over rounds.",
    rule=f"It is from {COST[0]} to {COST[1]}, which is within a factor of two of 10 to 15% more.",
)
def training_costs_10_to_15_percent(found: Found) -> Judgement:
    step = _median("train", "reference_train")
    low, high = COST
    return every([times(found, step, {"part": "training"}, "training step", low=low, high=high)])


@CLAIMS.claim(
    title="At inference it costs nothing once it is folded",
    sentence="BatchNorm may be a bottleneck at inference, unless it is folded into the convolution "
    "before it.",
    texts="D",
    source="A remark of the text.",
    measured="The folded_inference probe, norms before the ReLU: time of a forward pass at batch "
    "size 128 relative to none, each run's median over rounds.",
    rule=f"Folded, it is below {FREE}.",
)
def folded_inference_is_free(found: Found) -> Judgement:
    of = {"part": "inference", "batch_size": 128}
    return every([times(found, _median("folded", "reference"), of, "folded", high=FREE)])
