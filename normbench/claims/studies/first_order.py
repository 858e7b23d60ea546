"""Study 18: layers that depend on each other."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, ratio
from normbench.probes.first_order import error
from normbench.studies.found import Found, Measure

CLAIMS = StudyClaims()

ERROR = Measure("relative error of the foretold change of the loss", error)


@CLAIMS.claim(
    title="BatchNorm loosens what layers owe to each other",
    sentence="A gradient says what a small change of one layer does; as all layers move at once, a "
    "step does something else. With BatchNorm that is less so.",
    texts="B",
    source="Goodfellow, Bengio & Courville 2016, section 8.7.1, as the text retells it.",
    measured="The first_order probe on a deep linear network of 25 layers: how far the loss's "
    "change under a step is from what the gradient foretells, over that; geometric mean over "
    "steps, as a ratio none / batchnorm.",
    rule="It is above 1.",
)
def batchnorm_loosens_layers(found: Found) -> Judgement:
    norms = {"norm": "none"}, {"norm": "batchnorm"}
    return every([ratio(found, ERROR, *norms, "none / batchnorm", low=1)])
