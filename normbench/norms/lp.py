"""Batch normalization by other norms than L2: Hoffer et al. 2018, https://arxiv.org/abs/1803.01814
and Santurkar et al. 2018, https://arxiv.org/abs/1805.11604

    y = weight[c] · (x - μ[c]) / (s[c] + eps) + bias[c]

with μ the mean over (N, H, W), and s the channel's size in L1 or L∞, over its n = N·H·W values. The
two papers mean different things by it, which the setting `deviation` chooses:

    True    Hoffer et al.: s is of x - μ, times a constant that brings it near the standard
            deviation of normal numbers
    False   Santurkar et al.: s is of x itself, before the mean is subtracted, and as it is

In evaluation μ and s are running averages, as BatchNorm's.
x and y: (N, C), (N, C, L) or (N, C, H, W), with n = N, N·L or N·H·W; weight, bias, μ and s: (C,).
"""

import math

import torch
from torch import Tensor

from normbench.norms.channelwise import ChannelwiseLayer, over_batch, per_channel


class LpBatchNorm(ChannelwiseLayer):
    """What the two share.

    Args:
        num_channels: C.
        deviation: what s is, as above.
        eps: added to s.
        momentum: of the running averages.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("deviation", "eps", "momentum")
    running_mean: Tensor
    running_size: Tensor

    def __init__(
        self, num_channels: int, deviation: bool = True, eps: float = 1e-5, momentum: float = 0.1
    ):
        super().__init__(num_channels)
        self.deviation, self.eps, self.momentum = deviation, eps, momentum
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_size", torch.ones(num_channels))

    def size(self, x: Tensor) -> Tensor:
        """The norm of each channel's values, (N, C, ...) -> (C,)."""
        raise NotImplementedError

    def constant(self, n: int) -> float:
        """What times the size of n normal numbers is near their standard deviation."""
        raise NotImplementedError

    def normalize(self, x: Tensor) -> Tensor:
        if not self.training:
            mean, size = self.running_mean, self.running_size
            return (x - per_channel(mean, x)) / per_channel(size + self.eps, x)
        mean = x.mean(over_batch(x))
        centered = x - per_channel(mean, x)
        n = x.numel() // x.shape[1]
        size = self.size(centered) * self.constant(n) if self.deviation else self.size(x)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_size.lerp_(size.to(self.running_size.dtype), self.momentum)
        return centered / per_channel(size + self.eps, x)


class L1BatchNorm(LpBatchNorm):
    """s is the mean of absolute values, times √(π/2) if `deviation`: for normal numbers the
    standard deviation. Arguments and errors are `LpBatchNorm`'s."""

    def size(self, x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, 1, over_batch(x)) / (x.numel() // x.shape[1])

    def constant(self, n: int) -> float:
        return math.sqrt(math.pi / 2)


class LInfBatchNorm(LpBatchNorm):
    """s is the largest absolute value, times (1 + √(π ln 4)) / (2 √(2 ln n)) if `deviation`: for
    normal numbers, midway between bounds of the standard deviation. Arguments and errors are
    `LpBatchNorm`'s."""

    def size(self, x: Tensor) -> Tensor:
        return x.abs().amax(over_batch(x))

    def constant(self, n: int) -> float:
        # a single value is its mean: whatever its constant, it deviates by 0
        return (1 + math.sqrt(math.pi * math.log(4))) / (2 * math.sqrt(2 * math.log(max(n, 2))))
