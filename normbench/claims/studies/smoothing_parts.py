"""Study 11: what smooths the landscape of the loss."""

from __future__ import annotations

from normbench.claims.rules import Judgement, Part, every
from normbench.claims.studies.claim import StudyClaims, ratio
from normbench.probes.landscape import describe
from normbench.studies.found import Found, Measure

CLAIMS = StudyClaims()


def _of_landscape(key: str) -> Measure:
    return Measure(key, lambda record: describe(record["measured"])[key])


SMOOTHNESS = [_of_landscape(key) for key in ("loss range", "gradient change", "β-smoothness")]
MEASURED = (
    "The landscape probe's geometric means of each run over training: the range of the loss along "
    "the gradient, the largest change of the gradient there, the effective β-smoothness; as ratios."
)


def _ratios(found: Found, one: str, other: str, **ends: float) -> list[Part]:
    return [
        ratio(found, measure, {"norm": one}, {"norm": other}, f"{one} / {other}", **ends)
        for measure in SMOOTHNESS
    ]


@CLAIMS.claim(
    title="Weight standardization smooths what GroupNorm leaves",
    sentence="Standardizing the weights smooths the landscape of the loss, also on top of "
    "GroupNorm.",
    texts="AB",
    source="Qiao et al. 2019, as the texts retell it.",
    measured=MEASURED,
    rule="All three ratios ws_groupnorm / groupnorm are below 1.",
)
def ws_smooths_what_groupnorm_leaves(found: Found) -> Judgement:
    return every(_ratios(found, "ws_groupnorm", "groupnorm", high=1))


@CLAIMS.claim(
    title="BatchNorm smooths without its scale and shift",
    sentence="γ and β are not what makes BatchNorm's landscape smoother: it is without them, too.",
    texts="B",
    source="Santurkar et al. 2018, as the texts retell it.",
    measured=MEASURED,
    rule="All three ratios batchnorm_no_affine / none are below 1.",
)
def batchnorm_smooths_without_affine(found: Found) -> Judgement:
    return every(_ratios(found, "batchnorm_no_affine", "none", high=1))


@CLAIMS.claim(
    title="It is the gradient through the statistics that smooths",
    sentence="Without the gradient through mean and variance BatchNorm smooths less.",
    texts="AB",
    source="Santurkar et al. 2018, theorem 4.1, as the texts retell it.",
    measured=MEASURED,
    rule="All three ratios batchnorm_detached / batchnorm are above 1.",
)
def gradient_through_statistics_smooths(found: Found) -> Judgement:
    return every(_ratios(found, "batchnorm_detached", "batchnorm", low=1))
