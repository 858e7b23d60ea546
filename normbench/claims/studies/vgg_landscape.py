"""Study 6: VGG on CIFAR-10."""

from __future__ import annotations

from normbench.claims.rules import MARGIN, Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess, ratio
from normbench.probes import covariate_shift, distribution_drift, landscape
from normbench.studies.found import ACCURACY, Found, Measure

CLAIMS = StudyClaims()

SMALLER, ALIKE = 0.9, 0.05  # as claim 17 has them


def _curves(norm: str) -> dict[str, str]:
    return {"part": "curves", "norm": norm}


def _drift(part: str) -> Measure:
    return Measure(f"change of the {part}", lambda r: distribution_drift.drift(r, part))


def _shift(key: str) -> Measure:
    return Measure(key, lambda record: covariate_shift.describe(record["measured"])[key])


def _landscape(key: str) -> Measure:
    return Measure(key, lambda record: landscape.describe(record["measured"])[key])


@CLAIMS.claim(
    title="VGG: noise after BatchNorm leaves its benefit",
    sentence="With noise added behind BatchNorm a VGG trains as well as with BatchNorm and better "
    "than without, although its distributions move more than without.",
    texts="BC",
    source="Santurkar et al. 2018, section 2.1 and figure 2.",
    measured="Accuracy after training; and the distribution_drift probe: how far mean and variance "
    "of a channel's activations move from a step to the next, as ratios noisy_batchnorm / none.",
    rule=f"noisy_batchnorm is above none, and less than {MARGIN} below batchnorm; both ratios are "
    "above 1.",
)
def noise_leaves_the_benefit(found: Found) -> Judgement:
    noisy = _curves("noisy_batchnorm")
    return every(
        [
            excess(found, ACCURACY, noisy, _curves("none"), "noisy_batchnorm − none", low=0),
            excess(
                found, ACCURACY, noisy, _curves("batchnorm"), "noisy_batchnorm − batchnorm",
                low=-MARGIN,
            ),
            *(
                ratio(
                    found, _drift(part), {"part": "drift", "norm": "noisy_batchnorm"},
                    {"part": "drift", "norm": "none"}, "noisy_batchnorm / none", low=1,
                )
                for part in ("mean", "variance")
            ),
        ]
    )  # fmt: skip


@CLAIMS.claim(
    title="VGG: covariate shift is not smaller with BatchNorm",
    sentence="What updating the earlier layers does to a layer's gradient is with BatchNorm no "
    "less than without.",
    texts="BC",
    source="Santurkar et al. 2018, section 2.2 and figure 3.",
    measured="The covariate_shift probe: the L2 difference between a layer's gradients before and "
    "after the earlier layers' update, as a ratio batchnorm / none, and their cosine, as a "
    "difference.",
    rule=f"The ratio is above {SMALLER}, and the cosine with batchnorm is at most {ALIKE} above "
    "that with none.",
)
def covariate_shift_is_no_smaller(found: Found) -> Judgement:
    one, other = ({"part": "shift", "norm": norm} for norm in ("batchnorm", "none"))
    return every(
        [
            ratio(found, _shift("difference"), one, other, "batchnorm / none", low=SMALLER),
            excess(found, _shift("cosine"), one, other, "batchnorm − none", high=ALIKE),
        ]
    )


@CLAIMS.claim(
    title="VGG: the landscape is smoother with BatchNorm",
    sentence="Along the gradient, loss and gradient change less with BatchNorm.",
    texts="BC",
    source="Santurkar et al. 2018, section 3.1 and figure 4.",
    measured="The landscape probe, SGD without momentum: the range of the loss along the gradient, "
    "the largest change of the gradient there, the effective β-smoothness; as ratios.",
    rule="All three ratios batchnorm / none are below 1.",
)
def landscape_is_smoother(found: Found) -> Judgement:
    one, other = ({"part": "landscape", "norm": norm} for norm in ("batchnorm", "none"))
    return every(
        ratio(found, _landscape(key), one, other, "batchnorm / none", high=1)
        for key in ("loss range", "gradient change", "β-smoothness")
    )


@CLAIMS.claim(
    title="VGG: L1 and L∞ normalization do as well",
    sentence="Normalizing by the mean absolute or the largest deviation instead of the standard "
    "deviation trains as well as BatchNorm.",
    texts="BC",
    source="Santurkar et al. 2018, section 3.3.",
    measured="Accuracy after training, less batchnorm's.",
    rule=f"l1_batchnorm and linf_batchnorm are less than {MARGIN} below batchnorm.",
)
def lp_norms_do_as_well(found: Found) -> Judgement:
    return every(
        excess(
            found, ACCURACY, _curves(norm), _curves("batchnorm"), f"{norm} − batchnorm",
            low=-MARGIN,
        )
        for norm in ("l1_batchnorm", "linf_batchnorm")
    )  # fmt: skip
