"""Normalization layers for 2-d feature maps, and what changes weights or convolutions instead.

Every layer's first argument is the number of channels; it maps x to y, both (N, C, H, W) and of the
same dtype and memory format. Statistics are computed in fp32 even when x is bf16 or fp16.
"""

from normbench.norms.batch import BatchNorm, RunningBatchNorm
from normbench.norms.batch_channel import BatchChannelNorm
from normbench.norms.deconvolution import Deconvolution
from normbench.norms.evonorm import EvoNormB0, EvoNormS0
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
    "BatchChannelNorm",
    "BatchNorm",
    "BatchRenorm",
    "Deconvolution",
    "Derf",
    "DyT",
    "EvoNormB0",
    "EvoNormS0",
    "FilterResponseNorm",
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
    "lecun_normal",
    "scaled_weight_standardization",
    "spectral_norm",
    "weight_norm",
]
