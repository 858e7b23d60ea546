"""Study 12: recurrent networks and Transformers."""

from __future__ import annotations

from normbench.analysis.welch import Sample
from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

RATES = 0.01, 0.003, 0.001


def _best(found: Found, part: str, norm: str) -> dict[str, object]:
    """A norm at the learning rate at which its mean accuracy is highest."""

    def mean(lr: float) -> float:
        sample: Sample | None = found.sample(ACCURACY, part=part, norm=norm, lr=lr)
        return sample.mean if sample else -1.0

    return {"part": part, "norm": norm, "lr": max(RATES, key=mean)}


@CLAIMS.claim(
    title="Recurrent networks: LayerNorm is better than BatchNorm",
    sentence="In recurrent networks LayerNorm is the better norm.",
    texts="BD",
    source="Ba et al. 2016, as the texts retell it.",
    measured="Accuracy on MNIST read row by row, each norm at the best of three learning rates: "
    "layernorm less batchnorm.",
    rule="It is above 0.",
)
def layernorm_is_better_in_recurrent_networks(found: Found) -> Judgement:
    one, other = (_best(found, "rnn", norm) for norm in ("layernorm", "batchnorm"))
    return every([excess(found, ACCURACY, one, other, "rnn, layernorm − batchnorm", low=0)])


@CLAIMS.claim(
    title="Transformers: LayerNorm is better than BatchNorm and than no norm",
    sentence="In Transformers LayerNorm is the better norm.",
    texts="BD",
    source="A remark of the texts.",
    measured="Accuracy of a small vision transformer, each norm at the best of three learning "
    "rates: layernorm less batchnorm, and less none.",
    rule="Both are above 0.",
)
def layernorm_is_better_in_transformers(found: Found) -> Judgement:
    ours = _best(found, "vit", "layernorm")
    return every(
        excess(found, ACCURACY, ours, _best(found, "vit", norm), f"vit, layernorm − {norm}", low=0)
        for norm in ("batchnorm", "none")
    )
