"""Study 17: before or after the nonlinearity."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, excess
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

POINTS = [(128, 0.01), (128, 0.001), (2, 0.01), (2, 0.001)]


@CLAIMS.claim(
    title="After the nonlinearity is better",
    sentence="BatchNorm does better after the ReLU than before it.",
    texts="B",
    source="A remark of the text; Ioffe & Szegedy 2015 put it before.",
    measured="Accuracy of batchnorm, model.order relu_norm less norm_relu, in four cells.",
    rule="The difference is above 0 in all four cells.",
)
def after_the_nonlinearity_is_better(found: Found) -> Judgement:
    return every(
        excess(
            found,
            ACCURACY,
            {"model__order": "relu_norm", "batch_size": size, "lr": lr},
            {"model__order": "norm_relu", "batch_size": size, "lr": lr},
            f"after − before, {size}/{lr:g}",
            low=0,
        )
        for size, lr in POINTS
    )


@CLAIMS.claim(
    title="Both places work",
    sentence="BatchNorm helps before the nonlinearity and after it.",
    texts="D",
    source="A remark of the text.",
    measured="Accuracy at batch size 128 and learning rate 0.01: batchnorm in either place less no "
    "norm.",
    rule="Both differences are above 0.",
)
def both_places_work(found: Found) -> Judgement:
    point = {"batch_size": 128, "lr": 0.01}
    return every(
        excess(
            found, ACCURACY, {"model__order": order, **point}, {"part": "none", **point},
            f"{order} − none", low=0,
        )
        for order in ("relu_norm", "norm_relu")
    )  # fmt: skip
