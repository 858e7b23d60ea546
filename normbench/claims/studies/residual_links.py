"""Study 22: residual links and the landscape."""

from __future__ import annotations

import numpy as np

from normbench.analysis.averages import array, geometric_mean
from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, ratio
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()


def _largest(record: Record) -> float:
    return float(geometric_mean(array(record["measured"]["largest"])))


def _negative(record: Record) -> float:
    measured = record["measured"]
    ratios = np.abs(array(measured["smallest"]) / array(measured["largest"]))
    return float(geometric_mean(ratios))


LARGEST = Measure("λmax", _largest)
NEGATIVE = Measure("abs(λmin / λmax)", _negative)


@CLAIMS.claim(
    title="Residual links smooth the landscape",
    sentence="With residual links the loss is less curved than in the same network without.",
    texts="A",
    source="Li et al. 2018, as the text retells it.",
    measured="The hessian probe, ResNet-20 without a norm: λmax, geometric mean over training, as "
    "a ratio with links / without.",
    rule="It is below 1.",
)
def links_smooth(found: Found) -> Judgement:
    one, other = ({"norm": "none", "model.shortcuts": links} for links in (True, False))
    return every([ratio(found, LARGEST, one, other, "with links / without", high=1)])


@CLAIMS.claim(
    title="With BatchNorm the landscape is less non-convex",
    sentence="The loss curves down less, measured by how much it curves up, with BatchNorm.",
    texts="A",
    source="The text's remark; measured as in Li et al. 2018.",
    measured="The hessian probe, ResNet-20 with links: abs(λmin / λmax), geometric mean over "
    "training, as a ratio batchnorm / none.",
    rule="It is below 1.",
)
def batchnorm_is_less_non_convex(found: Found) -> Judgement:
    one, other = ({"norm": norm, "model.shortcuts": True} for norm in ("batchnorm", "none"))
    return every([ratio(found, NEGATIVE, one, other, "batchnorm / none", high=1)])
