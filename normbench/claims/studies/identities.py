"""Study 10: identities."""

from __future__ import annotations

from statistics import fmean

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, amount, times
from normbench.probes.identities import SENTENCES
from normbench.studies.found import Found, Measure, measured

CLAIMS = StudyClaims()

EXACT = 1e-4  # relative error
GROWS = 1.5  # times a layer
SKEWED, HEAVY = 0.5, 1.0  # what is no normal distribution any more


def _error(name: str) -> Measure:
    return Measure(SENTENCES[name], lambda record: record["measured"]["errors"].get(name))


@CLAIMS.claim(
    title="The identities hold",
    sentence="γ = σ and β = μ undo BatchNorm; outputs do not depend on the weights' scale and "
    "gradients fall as one over it; the input gradient is orthogonal to 1 and to x̂; eps 0.1 bounds "
    "the gain by √10; GroupNorm with C groups is InstanceNorm, with one LayerNorm.",
    texts="ABCD",
    source="Algebra; Ioffe & Szegedy 2015; Santurkar et al. 2018, theorem 4.1; Wu & He 2018.",
    measured="The identities probe: the largest relative error of each on a trained cnn4 in "
    "float64 (BatchNorm's eps 1e-12), with norms after the ReLU and before it.",
    rule=f"Each is below {EXACT:g}.",
)
def identities_hold(found: Found) -> Judgement:
    return every(
        amount(found, _error(name), {"norm": "batchnorm"}, "largest error", high=EXACT)
        for name in SENTENCES
    )


@CLAIMS.claim(
    title="With standardized weights alone activations are huge",
    sentence="After standardizing the weights alone, without a norm behind them, activations grow "
    "from layer to layer.",
    texts="A",
    source="A remark of the text.",
    measured="The identities probe before training: standard deviation of a convolution's output "
    "over its input's, geometric mean over the convolutions of a cnn4 with norm=ws.",
    rule=f"It is above {GROWS}.",
)
def standardized_weights_alone_grow(found: Found) -> Judgement:
    growth = measured("growth a layer, before training", "growth_at_start")
    return every([times(found, growth, {"norm": "ws"}, "ws", low=GROWS)])


@CLAIMS.claim(
    title="BatchNorm's output is standard normal",
    sentence="What BatchNorm makes of its input, before γ and β, is a standard normal "
    "distribution.",
    texts="BD",
    source="The texts' wording; Ioffe & Szegedy 2015 put BatchNorm before the nonlinearity, where "
    "its input is the most likely to be normal.",
    measured="The identities probe after training, norms before the ReLU: absolute skewness and "
    "absolute excess kurtosis of a channel, averaged over channels and layers.",
    rule=f"The skewness is below {SKEWED}, the excess kurtosis below {HEAVY:g}.",
)
def batchnorms_output_is_normal(found: Found) -> Judgement:
    where = {"norm": "batchnorm", "model__order": "norm_relu"}
    skew = Measure("abs(skewness)", lambda record: fmean(record["measured"]["skew"]))
    kurtosis = Measure("abs(excess kurtosis)", lambda record: fmean(record["measured"]["kurtosis"]))
    return every(
        [
            amount(found, skew, where, "before the ReLU", high=SKEWED),
            amount(found, kurtosis, where, "before the ReLU", high=HEAVY),
        ]
    )
