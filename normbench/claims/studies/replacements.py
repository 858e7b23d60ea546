"""Study 13: what is to replace BatchNorm."""

from __future__ import annotations

from normbench.claims.rules import MARGIN, Judgement, Part, every
from normbench.claims.studies.claim import Judge, StudyClaims, excess
from normbench.studies.found import ACCURACY, Found

CLAIMS = StudyClaims()

# norm: its name, the texts that name it, its paper, and whether it is for residual networks
REPLACEMENTS = {
    "selu": ("SELU", "A", "Klambauer et al. 2017", False),
    "deconv": ("Network deconvolution", "A", "Ye et al. 2020", False),
    "weightnorm": ("Weight normalization", "AD", "Salimans & Kingma 2016", False),
    "instancenorm": ("InstanceNorm", "AD", "Ulyanov et al. 2016", False),
    "fixup": ("Fixup", "A", "Zhang et al. 2019", True),
    "scaled_ws_agc": ("NFNets' weights with clipping", "A", "Brock et al. 2021", True),
}


def _judge(norm: str, residual: bool) -> Judge:
    def judge(found: Found) -> Judgement:
        def part(size: int, low: float) -> Part:
            where = {"part": f"residual_{size}" if residual else "norms", "batch_size": size}
            one, other = ({"norm": name} | where for name in (norm, "batchnorm"))
            return excess(found, ACCURACY, one, other, f"{norm} − batchnorm, {size}/0.01", low=low)

        return every([part(128, -MARGIN), part(2, 0)])

    judge.__name__ = f"{norm}_replaces_batchnorm"
    return judge


for _norm, (_name, _texts, _source, _residual) in REPLACEMENTS.items():
    CLAIMS.claim(
        title=f"{_name} {'replace' if _name.startswith('NFNets') else 'replaces'} BatchNorm",
        sentence=f"{_name} in place of BatchNorm: as good in large batches, better in small ones.",
        texts=_texts,
        source=f"{_source}, as the texts name it.",
        measured=f"Accuracy of {'ResNet-20 on CIFAR-10' if _residual else 'cnn4 on Imagenette'} at "
        "learning rate 0.01, less batchnorm's.",
        rule=f"It is less than {MARGIN} below at batch size 128, and above at batch size 2.",
    )(_judge(_norm, _residual))
