"""Study 7: ResNet-110 at three learning rates."""

from __future__ import annotations

from normbench.claims.rules import MARGIN, Judgement, every
from normbench.claims.studies.claim import StudyClaims, amount, excess
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

CHANCE = 0.15  # with ten classes: what is not above it has learned nothing
HIGH, MIDDLE, LOW = 0.1, 0.003, 0.0001


@CLAIMS.claim(
    title="Higher learning rates train with BatchNorm alone",
    sentence="Without BatchNorm a ResNet-110 diverges or stays at chance at the two higher "
    "learning rates.",
    texts="CD",
    source="Bjorck et al. 2018, figure 1 and section 3.",
    measured="Accuracy of none at learning rates 0.1 and 0.003; a run that diverged counts as "
    "guessing.",
    rule=f"Both are below {CHANCE}.",
)
def high_rates_need_batchnorm(found: Found) -> Judgement:
    return every(
        amount(found, ACCURACY, {"norm": "none", "lr": lr}, f"none, {lr:g}", high=CHANCE)
        for lr in (HIGH, MIDDLE)
    )


@CLAIMS.claim(
    title="The highest rate ends best",
    sentence="With BatchNorm the network that was trained at the higher learning rate is better.",
    texts="CD",
    source="Bjorck et al. 2018, figure 1.",
    measured="Accuracy of batchnorm, learning rate 0.1 less 0.0001.",
    rule="It is above 0.",
)
def the_highest_rate_ends_best(found: Found) -> Judgement:
    one, other = ({"norm": "batchnorm", "lr": lr} for lr in (HIGH, LOW))
    return every([excess(found, ACCURACY, one, other, "0.1 − 0.0001", low=0)])


@CLAIMS.claim(
    title="At the same small rate both are alike",
    sentence="At the smallest learning rate a network without BatchNorm ends where one with it "
    "does.",
    texts="C",
    source="Bjorck et al. 2018, figure 1.",
    measured="Accuracy at learning rate 0.0001, batchnorm less none.",
    rule=f"It is within {MARGIN} of 0.",
)
def alike_at_the_smallest_rate(found: Found) -> Judgement:
    one, other = ({"norm": norm, "lr": LOW} for norm in ("batchnorm", "none"))
    return every(
        [excess(found, ACCURACY, one, other, "batchnorm − none", low=-MARGIN, high=MARGIN)]
    )
