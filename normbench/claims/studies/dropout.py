"""Study 15: dropout, and longer training."""

from __future__ import annotations

from normbench.analysis.welch import Sample, contrast, spearman
from normbench.claims.rules import Judgement, Part, every
from normbench.claims.studies.claim import StudyClaims, excess, total
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

NORMS = "none", "batchnorm", "layernorm", "groupnorm", "ws_bcn"
GAIN = 0.01  # of accuracy
SAME_ORDER = 0.5  # of a rank correlation


def _with(norm: str, dropout: float) -> dict[str, object]:
    return {"part": "dropout", "norm": norm, "model.dropout": dropout}


@CLAIMS.claim(
    title="With BatchNorm dropout is unnecessary",
    sentence="BatchNorm regularizes enough: dropout gains nothing beside it.",
    texts="BD",
    source="Ioffe & Szegedy 2015, section 4.2.1, as the texts retell it.",
    measured="Accuracy after 15 epochs, dropout 0.5 before the head less none: with batchnorm, and "
    "with batchnorm less without a norm.",
    rule=f"With batchnorm it is below {GAIN}, and smaller than without a norm.",
)
def dropout_is_unnecessary(found: Found) -> Judgement:
    one, other = _with("batchnorm", 0.5), _with("batchnorm", 0.0)
    terms = [(1, one), (-1, other), (-1, _with("none", 0.5)), (1, _with("none", 0.0))]
    return every(
        [
            excess(found, ACCURACY, one, other, "gain of dropout, batchnorm", high=GAIN),
            total(found, ACCURACY, terms, "gain of dropout, batchnorm − none", high=0),
        ]
    )


@CLAIMS.claim(
    title="Norms keep their order when they are trained for longer",
    sentence="What short training says of norms holds for longer training, too.",
    texts="A",
    source="The text names its short training as a limitation.",
    measured="Spearman's rank correlation between the accuracies of five norms after 15 epochs and "
    "after 3, of each seed.",
    rule=f"Its mean is above {SAME_ORDER}.",
)
def norms_keep_their_order(found: Found) -> Judgement:
    def of(norm: str, epochs: int) -> list[float]:
        return found.numbers(ACCURACY, part="longer", norm=norm, **{"train.epochs": epochs})

    short, long = ([of(norm, epochs) for norm in NORMS] for epochs in (3, 15))
    seeds = min(len(values) for values in (*short, *long))
    found_ = [
        spearman([values[i] for values in short], [values[i] for values in long])
        for i in range(seeds)
    ]
    sample = Sample.of([value for value in found_ if value is not None])
    estimate = contrast((1, sample))
    return every([Part("rank correlation, 15 and 3 epochs", estimate, low=SAME_ORDER)])
