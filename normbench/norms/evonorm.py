"""EvoNorm, norms and activations in one that were found by search: Liu et al. 2020,
https://arxiv.org/abs/2004.02967

Both take the place of a norm and of its ReLU. x and y: (N, C), (N, C, L) or (N, C, H, W); weight,
bias and v: (C,). For sequences L stands in the place of H and W; features are sequences of one.

timm has both. Its B0 divides by N·H·W - 1 and cannot train on a single value per channel; in both,
standard deviations and parameters are rounded to bf16 or fp16 before x is divided by them.
"""

import torch
from torch import Tensor, nn

from normbench.norms.channelwise import (
    ChannelwiseLayer,
    over_batch,
    over_positions,
    per_channel,
)


class EvoNormB0(ChannelwiseLayer):
    """Divided by what is larger, the batch's deviation or the value and the map's deviation:

        y = weight[c] · x / max(√(σ²[c] + eps), v[c] · x + √(σ²[n, c] + eps)) + bias[c]

    σ²[c] is the variance over (N, H, W) in training, and in evaluation its running average, as
    BatchNorm's; σ²[n, c] that over (H, W). Both are biased. v is learned and starts at 1.

    Args:
        num_channels: C.
        eps: added to variances.
        momentum: of the running average.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("eps", "momentum")
    running_var: Tensor

    def __init__(self, num_channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__(num_channels)
        self.eps, self.momentum = eps, momentum
        self.v = nn.Parameter(torch.ones(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def normalize(self, x: Tensor) -> Tensor:
        var = self._batch_variance(x) if self.training else self.running_var
        of_batch = (per_channel(var, x) + self.eps).sqrt()
        of_map = (x.var(over_positions(x), correction=0, keepdim=True) + self.eps).sqrt()
        return x / torch.maximum(of_batch, per_channel(self.v, x) * x + of_map)

    def _batch_variance(self, x: Tensor) -> Tensor:
        """σ²[c] (C,); the running average moves towards the unbiased one."""
        var = x.var(over_batch(x), correction=0)
        count = x.numel() // x.shape[1]
        with torch.no_grad():
            unbiased = var * (count / max(1, count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return var


class EvoNormS0(ChannelwiseLayer):
    """Swish, divided by the deviation of a group of channels:

        y = weight[c] · x · sigmoid(v[c] · x) / √(σ²[n, g] + eps) + bias[c]

    in training and evaluation alike, with σ² (biased) of x over the C / num_groups consecutive
    channels of a group, H and W. v is learned and starts at 1.

    Args:
        num_channels: C.
        num_groups: of consecutive channels.
        eps: added to the variance.

    Raises:
        ValueError: if `num_groups` is less than 1 or does not divide `num_channels`.
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("num_groups", "eps")

    def __init__(self, num_channels: int, num_groups: int = 8, eps: float = 1e-5):
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_groups=} must be at least 1 and divide {num_channels=}")
        super().__init__(num_channels)
        self.num_groups, self.eps = num_groups, eps
        self.v = nn.Parameter(torch.ones(num_channels))

    def normalize(self, x: Tensor) -> Tensor:
        groups = x.unflatten(1, (self.num_groups, -1))
        var = groups.var(tuple(range(2, groups.dim())), correction=0)
        factor = (var + self.eps).rsqrt().repeat_interleave(self.num_channels // self.num_groups, 1)
        factor = factor.view(*factor.shape, *[1] * (x.dim() - 2))
        return x * (per_channel(self.v, x) * x).sigmoid() * factor
