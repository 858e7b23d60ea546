"""Study 1: evaluation under shifted inputs."""

from __future__ import annotations

from statistics import fmean

from normbench.analysis.averages import geometric_mean
from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, amount, excess, ratio
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()

RESCUED = 0.5  # of the drop
SEEN = 0.05  # of the logits' spread


def _accuracy(record: Record, mode: str, shift: str) -> float:
    measured = record["measured"]
    return float(measured["accuracy"][mode][measured["shifts"].index(shift)])


def _mean_drop(record: Record) -> float:
    clean, *shifted = record["measured"]["accuracy"]["eval"]
    return clean - fmean(shifted)


def _rescued(record: Record) -> float:
    clean, shifted = (_accuracy(record, "eval", shift) for shift in ("clean", "contrast"))
    return _accuracy(record, "batch", "contrast") - shifted - RESCUED * (clean - shifted)


def _change_under_contrast(record: Record) -> float:
    measured = record["measured"]
    return float(measured["logit_change"][measured["shifts"].index("contrast")])


def _overshoot(record: Record) -> float:
    return float(geometric_mean(record["measured"]["overshoot"][1:]))


DROP = Measure("mean drop of accuracy", _mean_drop)
RESCUE = Measure("accuracy won back less half of the drop", _rescued)
CHANGE = Measure("change of logits over their spread", _change_under_contrast)
OVERSHOOT = Measure("largest activation, shifted over clean", _overshoot)


@CLAIMS.claim(
    title="Under shifted inputs BatchNorm loses more accuracy",
    sentence="Evaluation uses other statistics than training: where the inputs are shifted, "
    "accuracy falls more with BatchNorm than without.",
    texts="ABD",
    source="The texts' demonstrations.",
    measured="The domain_shift probe: accuracy on clean validation images less the mean of that "
    "under contrast × 0.3, brightness − 30%, blur and noise, in evaluation mode.",
    rule="The drop of batchnorm less that of none is above 0.",
)
def batchnorm_loses_more_under_shift(found: Found) -> Judgement:
    return every(
        [excess(found, DROP, {"norm": "batchnorm"}, {"norm": "none"}, "batchnorm − none", low=0)]
    )


@CLAIMS.claim(
    title="The batch's own statistics rescue it",
    sentence="Evaluated with the statistics of the batch instead of the running ones, BatchNorm "
    "gets most of the lost accuracy back.",
    texts="BD",
    source="Nado et al. 2020; Schneider et al. 2020.",
    measured="The domain_shift probe, contrast × 0.3: accuracy with the batch's statistics less "
    "that in evaluation mode, less half of what evaluation mode lost.",
    rule="It is above 0: more than half of the drop is won back.",
)
def batch_statistics_rescue(found: Found) -> Judgement:
    return every([amount(found, RESCUE, {"norm": "batchnorm"}, "batchnorm", low=0)])


@CLAIMS.claim(
    title="LayerNorm cannot see contrast",
    sentence="LayerNorm's outputs are the same whatever the contrast of an image is.",
    texts="D",
    source="A demonstration of the text.",
    measured="The domain_shift probe: the root mean square change of layernorm's logits under "
    "contrast × 0.3 over the spread of the clean images' logits.",
    rule=f"It is below {SEEN}.",
)
def layernorm_cannot_see_contrast(found: Found) -> Judgement:
    return every([amount(found, CHANGE, {"norm": "layernorm"}, "layernorm", high=SEEN)])


@CLAIMS.claim(
    title="Activations overshoot with BatchNorm",
    sentence="Under shifted inputs the activations of a network with BatchNorm become larger than "
    "those that it was trained on, more so than without.",
    texts="BD",
    source="The texts' demonstrations.",
    measured="The domain_shift probe: the largest input of a layer on shifted images over that on "
    "clean ones, as geometric mean over layers and shifts, in evaluation mode.",
    rule="The ratio batchnorm / none is above 1.",
)
def activations_overshoot(found: Found) -> Judgement:
    norms = {"norm": "batchnorm"}, {"norm": "none"}
    return every([ratio(found, OVERSHOOT, *norms, "batchnorm / none", low=1)])
