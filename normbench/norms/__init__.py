"""Normalization layers, and what changes weights or convolutions instead.

Every layer's first argument is the number of channels; it maps x to y, both of the same shape,
dtype and memory format: features (N, C), sequences (N, C, L) or feature maps (N, C, H, W). What is
the statistics of a channel, in a batch or a sample, is so over L, or H and W, as well; only
`LayerNorm` and `RMSNorm` treat each position of a sequence by itself. Statistics are computed in
fp32 even when x is bf16 or fp16.
"""

from normbench.norms.batch import BatchNorm, RunningBatchNorm
from normbench.norms.batch_channel import BatchChannelNorm
from normbench.norms.clip import AdaptiveGradientClipping
from normbench.norms.deconvolution import Deconvolution
from normbench.norms.evonorm import EvoNormB0, EvoNormS0
from normbench.norms.fixup import FixupScalars, fixup
from normbench.norms.frn import FilterResponseNorm
from normbench.norms.ghost import GhostBatchNorm
from normbench.norms.group import GroupNorm, InstanceNorm, LayerNorm
from normbench.norms.init import lecun_normal
from normbench.norms.lp import L1BatchNorm, LInfBatchNorm
from normbench.norms.noisy import NoisyBatchNorm
from normbench.norms.norm import Norm
from normbench.norms.partial import PartialBatchNorm
from normbench.norms.pointwise import Derf, DyT
from normbench.norms.renorm import BatchRenorm
from normbench.norms.rms import RMSNorm
from normbench.norms.weight import (
    ScaledWeightStandardization,
    SpectralNorm,
    WeightNorm,
    WeightStandardization,
    scaled_weight_standardization,
    spectral_norm,
    weight_norm,
)

__all__ = [
    "AdaptiveGradientClipping",
    "BatchChannelNorm",
    "BatchNorm",
    "BatchRenorm",
    "Deconvolution",
    "Derf",
    "DyT",
    "EvoNormB0",
    "EvoNormS0",
    "FilterResponseNorm",
    "FixupScalars",
    "GhostBatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "L1BatchNorm",
    "LInfBatchNorm",
    "LayerNorm",
    "NoisyBatchNorm",
    "Norm",
    "PartialBatchNorm",
    "RMSNorm",
    "RunningBatchNorm",
    "ScaledWeightStandardization",
    "SpectralNorm",
    "WeightNorm",
    "WeightStandardization",
    "fixup",
    "lecun_normal",
    "scaled_weight_standardization",
    "spectral_norm",
    "weight_norm",
]
