"""Study 16: larger rates, flatter minima."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess, ratio
from normbench.studies.found import Found, Measure

CLAIMS = StudyClaims()

HIGH, LOW = {"lr": 0.1}, {"lr": 0.003}

SHARPNESS = Measure(
    "ε-sharpness at the same training loss", lambda record: record["measured"]["matched"]
)
REACHED = Measure("accuracy", lambda record: record["measured"]["val_accuracy"])


@CLAIMS.claim(
    title="Larger rates end in flatter minima",
    sentence="At the same training loss a network that was trained at a larger learning rate is in "
    "a flatter place.",
    texts="BC",
    source="Keskar et al. 2017 and Bjorck et al. 2018, section 2, as the texts retell them.",
    measured="The sharpness probe, batchnorm, SGD: ε-sharpness where the training loss first falls "
    "to 1.7; as a ratio, learning rate 0.003 over 0.1.",
    rule="The ratio is above 1.",
)
def larger_rates_are_flatter(found: Found) -> Judgement:
    return every([ratio(found, SHARPNESS, LOW, HIGH, "low rate / high rate", low=1)])


@CLAIMS.claim(
    title="And generalize better",
    sentence="The network that was trained at the larger rate does better on images that it has "
    "not seen.",
    texts="BC",
    source="Bjorck et al. 2018, section 2, as the texts retell it.",
    measured="Validation accuracy after training, batchnorm, SGD: learning rate 0.1 less 0.003.",
    rule="It is above 0.",
)
def larger_rates_generalize_better(found: Found) -> Judgement:
    return every([excess(found, REACHED, HIGH, LOW, "high rate − low rate", low=0)])
