"""Study 8: elimination singularities."""

from __future__ import annotations

from normbench.claims.rules import Judgement, every
from normbench.claims.studies.claim import StudyClaims, ratio
from normbench.probes.least_active import least_active
from normbench.studies.found import Found, Measure

CLAIMS = StudyClaims()

LEAST = Measure("share of the least active channel", least_active)
MEASURED = (
    "The least_active probe, norms before the ReLU: the share of positive inputs of a ReLU's least "
    "active channel over the last epoch, averaged over layers; as ratios."
)


@CLAIMS.claim(
    title="Channel-wise norms come closer to elimination singularities",
    sentence="With LayerNorm or GroupNorm some channels are nearly switched off; BatchNorm keeps "
    "all of them away from that.",
    texts="A",
    source="Qiao et al. 2019, as the text retells it.",
    measured=MEASURED,
    rule="The ratios batchnorm / layernorm and batchnorm / groupnorm are above 1.",
)
def channelwise_norms_come_closer(found: Found) -> Judgement:
    return every(
        ratio(found, LEAST, {"norm": "batchnorm"}, {"norm": other}, f"batchnorm / {other}", low=1)
        for other in ("layernorm", "groupnorm")
    )


@CLAIMS.claim(
    title="Batch information helps",
    sentence="Batch-channel normalization keeps channels away from elimination as GroupNorm does "
    "not, both with weight standardization.",
    texts="A",
    source="Qiao et al. 2019, as the text retells it.",
    measured=MEASURED,
    rule="The ratio ws_bcn / ws_groupnorm is above 1.",
)
def batch_information_helps(found: Found) -> Judgement:
    norms = {"norm": "ws_bcn"}, {"norm": "ws_groupnorm"}
    return every([ratio(found, LEAST, *norms, "ws_bcn / ws_groupnorm", low=1)])
