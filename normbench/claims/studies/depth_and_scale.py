"""Study 4: depth, sigmoids and careless initializations."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess, times
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()

TRAINS = 0.8  # accuracy
USUAL = 0.1  # an initial scale: 1 / √100
MORE, SCALES = 0.5, 2  # of accuracy, of scales
TAME = 0.1, 10
DEEP = {"model.activation": "sigmoid", "model.widths": [100] * 20}


def _accuracies(record: Record) -> list[float]:
    return [accuracy or 0.0 for accuracy in record["measured"]["accuracy"]]


def _ratio(record: Record) -> float | None:
    measured = record["measured"]
    ratio: float | None = measured["gradient_ratio"][measured["scales"].index(USUAL)]
    return ratio


BEST = Measure("accuracy at the best scale", lambda record: max(_accuracies(record)))
COUNT = Measure(
    "scales that train", lambda record: float(sum(a > TRAINS for a in _accuracies(record)))
)
RATIO = Measure("gradient of the first over the last hidden layer", _ratio)


@CLAIMS.claim(
    title="Twenty sigmoid layers train with BatchNorm alone",
    sentence="A network of many sigmoid layers does not train without normalization; with "
    "BatchNorm it does.",
    texts="ABCD",
    source="Ioffe & Szegedy 2015, as the texts retell it.",
    measured="The initial_scales probe, 20 sigmoid layers on MNIST: accuracy at each run's best "
    "initial scale, batchnorm less none.",
    rule=f"It is above {MORE}.",
)
def deep_sigmoids_need_batchnorm(found: Found) -> Judgement:
    one, other = (DEEP | {"norm": norm} for norm in ("batchnorm", "none"))
    return every([excess(found, BEST, one, other, "batchnorm − none", low=MORE)])


@CLAIMS.claim(
    title="BatchNorm forgives careless initializations",
    sentence="With BatchNorm a network trains from initial weights of many more scales.",
    texts="ABCD",
    source="Ioffe & Szegedy 2015; Bjorck et al. 2018, section 4; as the texts retell them.",
    measured="The initial_scales probe: how many of nine scales from 0.001 to 10 reach accuracy "
    "0.8, averaged over 3, 10 and 20 layers of sigmoids and of ReLUs; batchnorm less none.",
    rule=f"It is above {SCALES}.",
)
def forgives_initializations(found: Found) -> Judgement:
    one, other = ({"norm": norm} for norm in ("batchnorm", "none"))
    return every([excess(found, COUNT, one, other, "batchnorm − none", low=SCALES)])


@CLAIMS.claim(
    title="Gradients neither vanish nor explode with BatchNorm",
    sentence="Through many layers gradients vanish or explode without normalization; with "
    "BatchNorm they do not.",
    texts="ABCD",
    source="The texts' explanation; Bjorck et al. 2018, section 4.",
    measured="The initial_scales probe, 20 sigmoid layers, initial scale 0.1: the first layer's "
    "gradient over the last hidden layer's, at the first step.",
    rule="It is from 0.1 to 10 with batchnorm, and below 0.1 with none.",
)
def gradients_do_not_vanish(found: Found) -> Judgement:
    low, high = TAME
    return every(
        [
            times(found, RATIO, DEEP | {"norm": "batchnorm"}, "batchnorm", low=low, high=high),
            times(found, RATIO, DEEP | {"norm": "none"}, "none", high=low),
        ]
    )
