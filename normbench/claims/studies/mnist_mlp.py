"""Study 3: a sigmoid network on MNIST."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess, ratio, total
from normbench.probes.hidden_inputs import drift
from normbench.studies.found import ACCURACY, Found, Measure, Record

CLAIMS = StudyClaims()

NONE, BATCHNORM = ({"part": "mnist", "norm": norm} for norm in ("none", "batchnorm"))
GOOD, FASTER = 0.9, 1.5


def _steps_to_good(record: Record) -> float:
    """A run that never gets there counts with all its steps."""
    measured = record["measured"]
    looks = zip(measured["at"], measured["val_accuracy"], strict=True)
    return float(next((at for at, reached in looks if reached >= GOOD), measured["at"][-1]))


STEPS = Measure(f"steps to accuracy {GOOD}", _steps_to_good)
DRIFT = Measure("drift of percentiles over their spread", lambda r: drift(r["measured"]))
SATURATED = Measure("saturated share", lambda record: record["measured"]["saturated"][-1])


@CLAIMS.claim(
    title="A sigmoid network ends better with BatchNorm",
    sentence="With BatchNorm a network of three sigmoid layers reaches a higher accuracy on MNIST.",
    texts="BD",
    source="Ioffe & Szegedy 2015, figure 1 (a).",
    measured="Accuracy after 50,000 steps, batchnorm less none.",
    rule="It is above 0.",
)
def ends_better(found: Found) -> Judgement:
    return every([excess(found, ACCURACY, BATCHNORM, NONE, "batchnorm − none", low=0)])


@CLAIMS.claim(
    title="And gets there faster",
    sentence="With BatchNorm it takes fewer steps to the same accuracy.",
    texts="BD",
    source="Ioffe & Szegedy 2015, figure 1 (a).",
    measured="Steps to accuracy 0.9, looked at every 500 steps; a run that never gets there counts "
    "with all its steps; as a ratio none / batchnorm.",
    rule=f"It is above {FASTER}.",
)
def gets_there_faster(found: Found) -> Judgement:
    return every([ratio(found, STEPS, NONE, BATCHNORM, "none / batchnorm", low=FASTER)])


@CLAIMS.claim(
    title="The inputs of the last hidden layer are steadier",
    sentence="The distribution of what reaches the last sigmoid moves less with BatchNorm.",
    texts="BD",
    source="Ioffe & Szegedy 2015, figure 1 (b, c).",
    measured="The hidden_inputs probe: how far the 15th, 50th and 85th percentile of one unit's "
    "inputs move from one look to the next, over the distance from the 15th to the 85th; as a "
    "ratio none / batchnorm.",
    rule="It is above 1.",
)
def inputs_are_steadier(found: Found) -> Judgement:
    return every([ratio(found, DRIFT, NONE, BATCHNORM, "none / batchnorm", low=1)])


@CLAIMS.claim(
    title="Saturation goes away",
    sentence="Without normalization sigmoids are driven into saturation, and gradients vanish; "
    "with BatchNorm they are not.",
    texts="BD",
    source="Ioffe & Szegedy 2015, section 2.",
    measured="The hidden_inputs probe: the share of hidden inputs where the sigmoid's derivative "
    "is below 0.05, after training; none less batchnorm.",
    rule="It is above 0.",
)
def saturation_goes_away(found: Found) -> Judgement:
    return every([excess(found, SATURATED, NONE, BATCHNORM, "none − batchnorm", low=0)])


@CLAIMS.claim(
    title="On MNIST there is less to gain than on harder data",
    sentence="What BatchNorm gains on MNIST is less than what it gains on Imagenette.",
    texts="BD",
    source="A remark of the texts.",
    measured="Accuracy, batchnorm less none: on MNIST, less the same of cnn4 on Imagenette at "
    "batch size 128 and learning rate 0.01.",
    rule="It is below 0.",
)
def less_to_gain_on_mnist(found: Found) -> Judgement:
    there = {"part": "imagenette"}
    terms = [
        (1, BATCHNORM),
        (-1, NONE),
        (-1, there | {"norm": "batchnorm"}),
        (1, there | {"norm": "none"}),
    ]
    return every([total(found, ACCURACY, terms, "gain on MNIST − gain on Imagenette", high=0)])
