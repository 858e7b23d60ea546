"""Normalization layers for 2-d feature maps, and reparametrizations of convolution weights.

Every layer's first argument is the number of channels; it maps x to y, both (N, C, H, W) and of the
same dtype and memory format. Statistics are computed in fp32 even when x is bf16 or fp16.
"""

from normbench.norms.batch import BatchNorm, RunningBatchNorm
from normbench.norms.batch_channel import BatchChannelNorm
from normbench.norms.group import GroupNorm, LayerNorm
from normbench.norms.noisy import NoisyBatchNorm
from normbench.norms.norm import Norm
from normbench.norms.partial import PartialBatchNorm
from normbench.norms.weight import WeightStandardization

__all__ = [
    "BatchChannelNorm",
    "BatchNorm",
    "GroupNorm",
    "LayerNorm",
    "NoisyBatchNorm",
    "Norm",
    "PartialBatchNorm",
    "RunningBatchNorm",
    "WeightStandardization",
]
