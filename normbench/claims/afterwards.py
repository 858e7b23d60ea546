"""What the articles claim besides, each with its rule, which was written when its numbers were
known: so these verdicts say what was measured, and put nothing to the test.

A claim is about batch size 128 and learning rate 0.01, where the probes watch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from normbench.analysis.averages import array, geometric_mean
from normbench.claims.claim import Claims
from normbench.claims.evidence import Evidence, Quantity
from normbench.claims.probed import amount, ratio
from normbench.claims.rules import GridPoint, Judgement, every
from normbench.claims.training import GROWTH, of_gradients
from normbench.probes.step_size import first_worse, relative_losses

POINT: GridPoint = 128, 0.01

CLAIMS = Claims(written_afterwards=True)


def _step_that_diverges(measured: dict[str, Any]) -> float:
    _, sizes, ratios = relative_losses([{"measured": measured}])
    worse = first_worse(sizes, ratios)
    return float(geometric_mean(np.where(np.isnan(worse), sizes[-1], worse)))


def _negative_curvature(measured: dict[str, Any]) -> float:
    return float(geometric_mean(np.abs(array(measured["smallest"]) / array(measured["largest"]))))


STEP = Quantity("step size", "step_size", _step_that_diverges)
CURVATURE = Quantity("abs(λmin / λmax)", "hessian", _negative_curvature)
SPREAD = of_gradients("spread")


@CLAIMS.claim(
    title="Steps along the gradient can be longer with BatchNorm",
    texts="C",
    sentence="With BatchNorm the loss still falls after steps along the gradient that are longer "
    "than those after which it grows without.",
    source="Bjorck et al. 2018, section 3, as the articles retell it.",
    measured="The step_size probe: of each run the smallest step size that makes the loss on a "
    "mini-batch larger, or the largest that was tried where none does, as the geometric mean over "
    "mini-batches; as a ratio batchnorm over none.",
    rule="The ratio is above 1.",
)
def batchnorm_allows_longer_steps(evidence: Evidence) -> Judgement:
    return every([ratio(evidence, STEP, "batchnorm", "none", POINT, low=1)])


@CLAIMS.claim(
    title="The loss is closer to convex with BatchNorm",
    texts="A",
    sentence="With BatchNorm the loss curves down less, measured by how much it curves up, than "
    "without a norm.",
    source="The articles' remark that the landscape is less non-convex with normalization; "
    "measured as in Li et al. 2018.",
    measured="The hessian probe: abs(λmin / λmax) of each run, its smallest eigenvalue over its "
    "largest, as the geometric mean over training; as a ratio batchnorm over none.",
    rule="The ratio is below 1.",
)
def batchnorm_makes_the_loss_more_convex(evidence: Evidence) -> Judgement:
    return every([ratio(evidence, CURVATURE, "batchnorm", "none", POINT, high=1)])


@CLAIMS.claim(
    title="Gradients of all layers are more alike with BatchNorm",
    texts="A",
    sentence="With BatchNorm the gradients of all convolutions are of about one size; without a "
    "norm they are further apart.",
    source="The articles' figures of gradient norms without a norm and with BatchNorm.",
    measured="Spread, from the gradients probe: the largest convolution's level (the median over "
    "the second half of the steps) over the smallest's; as a ratio none over batchnorm.",
    rule="The ratio is above 1.",
)
def batchnorm_makes_gradients_of_layers_alike(evidence: Evidence) -> Judgement:
    return every([ratio(evidence, SPREAD, "none", "batchnorm", POINT, low=1)])


@CLAIMS.claim(
    title="The last layer grows more with running than plain BatchNorm",
    texts="A",
    sentence="With running BatchNorm the outputs of the last convolution grow while a network is "
    "trained, and more than with BatchNorm.",
    source="The articles' figures of activations with BatchNorm and with running BatchNorm.",
    measured="Growth, from the activations probe, as claim 14 has it: of running_batchnorm, and "
    "as a ratio running_batchnorm over batchnorm.",
    rule="Both are above 1.",
)
def activations_grow_with_running_batchnorm(evidence: Evidence) -> Judgement:
    return every(
        [
            amount(evidence, GROWTH, "running_batchnorm", POINT, low=1),
            ratio(evidence, GROWTH, "running_batchnorm", "batchnorm", POINT, low=1),
        ]
    )
