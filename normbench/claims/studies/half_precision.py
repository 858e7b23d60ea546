"""Study 20: BatchNorm in half precision."""

from __future__ import annotations

import numpy as np

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, times
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()

UNSTABLE, STABLE = 1e-2, 1e-3  # relative errors
BELOW = 100  # of |μ| / σ


def _largest(record: Record, precision: str, below: float) -> float:
    measured = record["measured"]
    asked = np.array(measured["means"]) < below
    errors = np.array(measured[precision], dtype=float)[:, asked]
    return float(np.nan_to_num(errors, nan=np.inf).max())


FP16 = Measure("largest relative error", lambda record: _largest(record, "fp16", BELOW))
FP32 = Measure("largest relative error", lambda record: _largest(record, "fp32", np.inf))


@CLAIMS.claim(
    title="BatchNorm's statistics are unstable in fp16",
    sentence="In half precision BatchNorm's statistics go wrong where a channel's mean is large "
    "beside its spread; they have to be kept in fp32.",
    texts="D",
    source="A remark of the text.",
    measured="The half_precision probe: the largest relative error of mean, variance and output "
    "against float64; in fp16 for |μ|/σ below 100, in fp32 for all up to 1000.",
    rule=f"It is above {UNSTABLE:g} in fp16, and below {STABLE:g} in fp32.",
)
def statistics_are_unstable_in_fp16(found: Found) -> Judgement:
    return every(
        [
            times(found, FP16, {}, f"fp16, abs(μ)/σ below {BELOW}", low=UNSTABLE),
            times(found, FP32, {}, "fp32", high=STABLE),
        ]
    )
