"""Batch-channel normalization: Qiao et al. 2019, https://arxiv.org/abs/1903.10520"""

import torch
from torch import Tensor, nn

from normbench.norms.batch import RunningBatchNorm
from normbench.norms.batch_channel_function import BatchChannelNormFunction, moments_of_maps
from normbench.norms.group import GroupNorm


class BatchChannelNorm(nn.Module):
    """Batch normalization by estimated statistics, then channel normalization:

        z = γ₁[c] · (x - μ̂[c]) / √(σ̂²[c] + eps) + β₁[c]              μ̂, σ̂²: RunningBatchNorm's
        y = γ₂[c] · (z - μ[n, g]) / √(σ²[n, g] + eps) + β₂[c]         μ, σ²: GroupNorm's, of z

    The first keeps channels comparable however small the batch, as its statistics outlive it; the
    second normalizes every sample by itself. x, y, z: (N, C), (N, C, L) or (N, C, H, W); γ and
    β: (C,).

    Args:
        num_channels: C.
        num_groups: GroupNorm's.
        eps: of both.
        momentum, gradient: RunningBatchNorm's.

    Raises:
        ValueError: if `num_groups` is less than 1 or does not divide `num_channels`.
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(
        self,
        num_channels: int,
        num_groups: int = 8,
        eps: float = 1e-5,
        momentum: float = 0.1,
        gradient: bool = False,
    ):
        super().__init__()
        self.batch_norm = RunningBatchNorm(num_channels, eps, momentum, gradient)
        self.channel_norm = GroupNorm(num_channels, num_groups, eps)

    def forward(self, x: Tensor) -> Tensor:
        if self.channel_norm.suits_function(x) and not self.batch_norm.gradient:
            return self._by_function(x)
        return self.channel_norm(self.batch_norm(x))

    def _by_function(self, x: Tensor) -> Tensor:
        batch, channel = self.batch_norm, self.channel_norm
        with torch.no_grad():
            means, variances = moments_of_maps(x, channel.weight.dtype)
            mean, var = batch.running_mean, batch.running_var
            if self.training:
                mean = means.mean((0, 1))
                var = (variances + (means - mean).square()).mean((0, 1))
                mean, var = batch.take(mean, var, len(x))
        scale = batch.weight * (var + batch.eps).rsqrt()
        return BatchChannelNormFunction.apply(
            x, scale, batch.bias, channel.weight, channel.bias, mean, means, variances,
            channel.num_groups, channel.eps,
        )  # fmt: skip
