"""Study 13: what is to replace BatchNorm."""

from __future__ import annotations

from normbench.claims.rules import MARGIN, Judgement, every
from normbench.claims.studies.claim import Judge, StudyClaims, excess
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

REPLACEMENTS = {
    "selu": ("SELU", "A", "Klambauer et al. 2017"),
    "deconv": ("Network deconvolution", "A", "Ye et al. 2020"),
    "weightnorm": ("Weight normalization", "AD", "Salimans & Kingma 2016"),
    "instancenorm": ("InstanceNorm", "AD", "Ulyanov et al. 2016"),
    "scaled_ws": (
        "Scaled weight standardization",
        "A",
        "Brock et al. 2021 (NFNets' weights alone)",
    ),
}


def _judge(norm: str) -> Judge:
    def judge(found: Found) -> Judgement:
        return every(
            excess(
                found, ACCURACY, {"norm": norm, "batch_size": size},
                {"norm": "batchnorm", "batch_size": size}, f"{norm} − batchnorm, {size}/0.01",
                low=low,
            )
            for size, low in ((128, -MARGIN), (2, 0))
        )  # fmt: skip

    judge.__name__ = f"{norm}_replaces_batchnorm"
    return judge


for _norm, (_name, _texts, _source) in REPLACEMENTS.items():
    CLAIMS.claim(
        title=f"{_name} replaces BatchNorm",
        sentence=f"{_name} does as well as BatchNorm in large batches, and better in small ones.",
        texts=_texts,
        source=f"{_source}, as the texts name it.",
        measured="Accuracy at learning rate 0.01, less batchnorm's.",
        rule=f"It is less than {MARGIN} below at batch size 128, and above at batch size 2.",
    )(_judge(_norm))
