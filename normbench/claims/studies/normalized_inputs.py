"""Study 19: normalized inputs."""

from __future__ import annotations

from statistics import fmean

from normbench.claims.rules import Judgement, Part, every
from normbench.claims.studies.claim import StudyClaims, ratio
from normbench.studies.found import Found, Measure, Record, measured

CLAIMS = StudyClaims()

DATA = "mnist", "imagenette"


def _last(record: Record) -> float:
    return float(record["measured"]["val_loss"][-1])


def _steps_to(level: float) -> Measure:
    def steps(record: Record) -> float:
        found = record["measured"]
        looks = zip(found["at"], found["val_loss"], strict=True)
        reached = (at for at, loss in looks if loss is not None and loss <= level)
        return float(next(reached, found["at"][-1]))

    return Measure("steps to the loss that raw inputs end at", steps)


@CLAIMS.claim(
    title="Inputs around zero are better conditioned",
    sentence="Inputs with mean 0 and standard deviation 1 are better conditioned than raw ones.",
    texts="B",
    source="LeCun et al. 1998, as the text retells it.",
    measured="The inputs probe: the largest over the smallest eigenvalue (above a millionth of it) "
    "of the second moments of what the first layer is given; raw over standardized, of MNIST's "
    "images and of 3 × 3 patches of Imagenette's.",
    rule="Both ratios are above 1.",
)
def inputs_around_zero_are_better_conditioned(found: Found) -> Judgement:
    condition = measured("condition number", "condition")
    return every(
        ratio(
            found, condition, {"part": f"raw_{data}_moments"}, {"part": f"{data}_moments"},
            f"{data}, raw / standardized", low=1,
        )
        for data in DATA
    )  # fmt: skip


@CLAIMS.claim(
    title="And train faster",
    sentence="Networks train faster on standardized inputs than on raw ones.",
    texts="B",
    source="LeCun et al. 1998, as the text retells it.",
    measured="The curves probe: steps until the validation loss is at the mean over seeds of what "
    "raw inputs end at (a run that never gets there counts with all its steps); raw over "
    "standardized, of softmax regression on MNIST and of cnn4 without a norm on Imagenette.",
    rule="Both ratios are above 1.",
)
def standardized_inputs_train_faster(found: Found) -> Judgement:
    def part(data: str) -> Part:
        ends = found.numbers(Measure("loss", _last), part=f"raw_{data}")
        steps = _steps_to(fmean(ends) if ends else 0.0)
        raw, standardized = {"part": f"raw_{data}"}, {"part": data}
        return ratio(found, steps, raw, standardized, f"{data}, raw / standardized", low=1)

    return every(part(data) for data in DATA)
