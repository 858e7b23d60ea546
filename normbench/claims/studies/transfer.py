"""Study 9: a new head on a frozen body."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, amount
from normbench.studies.found import Found, Measure, Record

CLAIMS = StudyClaims()

MEASURED = (
    "The transfer probe: a body trained on half of Imagenette's classes, a new head on the other "
    "half in batches of 4; accuracy on its validation images in evaluation mode, of the same body "
    "with BatchNorm in {} while the head is trained."
)


def _gain(mode: str, other: str, batch_size: int) -> Measure:
    def difference(record: Record) -> float:
        accuracy = record["measured"]["accuracy"]
        place = record["config"]["probe"]["head_batch_sizes"].index(batch_size)
        return float(accuracy[mode][place] - accuracy[other][place])

    return Measure(f"accuracy, {mode} − {other}, batches of {batch_size}", difference)


@CLAIMS.claim(
    title="A frozen body's BatchNorm belongs in evaluation mode",
    sentence="Training only a head spoils BatchNorm layers that stay in training mode with frozen "
    "weights, unless they are left in evaluation mode.",
    texts="A",
    source="fastai, as the text retells it.",
    measured=MEASURED.format("evaluation mode less training mode"),
    rule="It is above 0.",
)
def evaluation_mode_is_better(found: Found) -> Judgement:
    gain = _gain("evaluation", "training", 4)
    return every([amount(found, gain, {}, "batchnorm", low=0)])


@CLAIMS.claim(
    title="Or its weights have to be trained",
    sentence="BatchNorm layers whose scale and shift are trained with the head do better than "
    "those with frozen weights in training mode.",
    texts="A",
    source="fastai's train_bn, as the text retells it.",
    measured=MEASURED.format("training mode, weights trained less frozen"),
    rule="It is above 0.",
)
def training_the_norms_is_better(found: Found) -> Judgement:
    gain = _gain("trained", "training", 4)
    return every([amount(found, gain, {}, "batchnorm", low=0)])
