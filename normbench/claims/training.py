"""What the articles claim of what goes on in training, each with its rule, judged from probes.

The rules were fixed before the probes were run. A claim is about batch size 128 and learning rate
0.01, where the probes watch.
"""

from __future__ import annotations

from typing import Any

from normbench.analysis.reference import GUESSING
from normbench.claims.claim import Claims
from normbench.claims.evidence import Evidence, Quantity
from normbench.claims.probed import amount, excess, ratio, weighted
from normbench.claims.rules import Ends, GridPoint, Judgement, below, every
from normbench.probes.gradients import describe

POINT: GridPoint = 128, 0.01
ALIKE: Ends = {"low": 1 / 1.5, "high": 1.5}  # ratios of what is said to be like something else

CLAIMS = Claims()


def of_gradients(key: str) -> Quantity:
    """One of the numbers that the gradients probe describes a run by."""
    return Quantity(key, "gradients", lambda measured: describe(measured["norms"])[key])


def _accuracy(probe: str) -> Quantity:
    """After the last step; a run that diverged counts as guessing."""
    return Quantity("accuracy", probe, lambda measured: measured["val_accuracy"][-1], GUESSING)


def _growth_of_the_last(measured: dict[str, Any]) -> float:
    first, *_, last = measured["std"][-1]
    return last / first


LEVEL, DROP, RISE, SPIKES = map(of_gradients, ("level", "drop", "rise", "spikes"))
LEAD, DRIFT = map(of_gradients, ("lead", "drift"))
GROWTH = Quantity("growth", "activations", _growth_of_the_last)


@CLAIMS.claim(
    title="Gradients are steadier with BatchNorm than without",
    texts="A",
    sentence="Without a norm the gradients of the convolutions drop at the start, rise afterwards "
    "and spike from step to step; with BatchNorm they do so less.",
    source="The articles' figures of gradient norms without a norm and with BatchNorm.",
    measured="The gradients probe's numbers of each run, as ratios none over batchnorm: drop (the "
    "first gradient norm over the lowest smoothed one), rise (the highest smoothed one after the "
    "lowest, over it) and spikes (the 99th percentile of the change from a step to the next).",
    rule="All three ratios are above 1.",
)
def gradients_are_steadier_with_batchnorm(evidence: Evidence) -> Judgement:
    return every(
        ratio(evidence, number, "none", "batchnorm", POINT, low=1)
        for number in (DROP, RISE, SPIKES)
    )


@CLAIMS.claim(
    title="Running BatchNorm: BatchNorm's gradients, worse training",
    texts="A",
    sentence="The gradient norms of running BatchNorm look like those of BatchNorm, although it "
    "trains worse: gradient norms alone do not tell how well a network trains.",
    source="The articles' figure of gradient norms with running BatchNorm, and its discussion.",
    measured="The gradients probe's numbers of each run, as ratios running_batchnorm over "
    "batchnorm: level (the median over the second half of the steps), rise and spikes. And the "
    "difference in accuracy between the two in the grid's runs.",
    rule="All three ratios are within a factor of 1.5, and running_batchnorm is less accurate.",
)
def running_batchnorm_has_batchnorm_gradients_but_trains_worse(evidence: Evidence) -> Judgement:
    norms = "running_batchnorm", "batchnorm"
    return every(
        [
            *(ratio(evidence, number, *norms, POINT, **ALIKE) for number in (LEVEL, RISE, SPIKES)),
            below(evidence, *norms, POINT),
        ]
    )


@CLAIMS.claim(
    title="Gradients through statistics matter more than scale and shift",
    texts="A",
    sentence="What BatchNorm owes to differentiating through its mean and variance is more than "
    "what it owes to its trained scale and shift.",
    source="The articles' experiments with BatchNorm taken apart.",
    measured="The ablation probe's accuracies after the last step: batchnorm, batchnorm_detached "
    "(the same forward pass, no gradient through the statistics) and batchnorm_no_affine (without "
    "scale and shift).",
    rule="batchnorm_detached is below batchnorm, and below batchnorm_no_affine.",
)
def gradients_through_statistics_matter_more_than_affine(evidence: Evidence) -> Judgement:
    return every(
        excess(evidence, _accuracy("ablation"), "batchnorm_detached", other, POINT, high=0)
        for other in ("batchnorm", "batchnorm_no_affine")
    )


@CLAIMS.claim(
    title="Activations of the last layer grow without a norm",
    texts="A",
    sentence="Without a norm the outputs of the last convolution grow while a network is trained; "
    "with BatchNorm they do so less.",
    source="The articles' figures of activations without a norm and with BatchNorm.",
    measured="Growth, from the activations probe: the standard deviation of the last convolution's "
    "output, before its norm, on one batch, at the end of training over that before it.",
    rule="It is above 1 without a norm, and larger than with batchnorm.",
)
def activations_grow_without_a_norm(evidence: Evidence) -> Judgement:
    return every(
        [
            amount(evidence, GROWTH, "none", POINT, low=1),
            ratio(evidence, GROWTH, "none", "batchnorm", POINT, low=1),
        ]
    )


@CLAIMS.claim(
    title="WS gradients: a peak at the start, then level",
    texts="A",
    sentence="With weight standardization gradients are largest at the very start, and then keep "
    "to a level as they do not without a norm.",
    source="The articles' figures of gradient norms with weight standardization.",
    measured="The gradients probe's numbers of each run: lead (the highest gradient norm in the "
    "first tenth of the steps, over the highest after it), and drift (the highest smoothed one "
    "after the first tenth over the lowest), the latter as a ratio to that of none.",
    rule="For ws_groupnorm as for ws_bcn, lead is above 1 and the ratio of drifts below 1.",
)
def ws_gradients_peak_then_level(evidence: Evidence) -> Judgement:
    return every(
        part
        for norm in ("ws_groupnorm", "ws_bcn")
        for part in (
            amount(evidence, LEAD, norm, POINT, low=1),
            ratio(evidence, DRIFT, norm, "none", POINT, high=1),
        )
    )


@CLAIMS.claim(
    title="Noise after BatchNorm does not undo its benefit",
    texts="BC",
    sentence="Disturbing what comes out of BatchNorm at random, anew at every step, leaves most of "
    "its benefit, although distributions are then anything but stable.",
    source="Santurkar et al. 2018, section 2.1, as the articles retell it.",
    measured="The noisy_batchnorm probe's accuracies after the last step: none, batchnorm and "
    "noisy_batchnorm.",
    rule="batchnorm is above none, and noisy_batchnorm is above the middle between the two, so "
    "that more than half of the benefit is left.",
)
def noise_leaves_the_benefit_of_batchnorm(evidence: Evidence) -> Judgement:
    accuracy = _accuracy("noisy_batchnorm")
    middle = {"noisy_batchnorm": 1, "batchnorm": -0.5, "none": -0.5}
    what = "noisy_batchnorm − (batchnorm + none) / 2"
    return every(
        [
            excess(evidence, accuracy, "batchnorm", "none", POINT, low=0),
            weighted(evidence, accuracy, POINT, middle, what, low=0),
        ]
    )
