"""Batch renormalization: Ioffe 2017, https://arxiv.org/abs/1702.03275"""

import torch
from torch import Tensor

from normbench.norms.channelwise import ChannelwiseLayer, over_batch, per_channel


class BatchRenorm(ChannelwiseLayer):
    """BatchNorm in training, corrected towards what running averages would give:

        y = weight[c] · ((x - μ_b[c]) / σ_b[c] · r[c] + d[c]) + bias[c]
        r = σ_b / σ, limited to [1 / max_scale, max_scale]
        d = (μ_b - μ) / σ, limited to [-max_shift, max_shift]

    with the batch's mean μ_b and deviation σ_b = √(variance + eps), and their running averages μ
    and σ over the batches before. r and d are constants to the gradient, which flows through μ_b
    and σ_b. Without limits the normalized x would be (x - μ) / σ, as in evaluation; with
    max_scale = 1 and max_shift = 0 it is BatchNorm's.

    The paper trains its first steps as BatchNorm and then relaxes the limits, by a schedule that
    suits runs of many steps, to the defaults here. There is no schedule here: the limits hold from
    the first step on. In its place the averages are debiased as `RunningBatchNorm`'s are, so that
    they are made of batches only; the first batch has itself for average, r = 1 and d = 0.

    x and y: (N, C), (N, C, L) or (N, C, H, W); all else: (C,).

    Args:
        num_channels: C.
        max_scale: the paper's r_max.
        max_shift: the paper's d_max.
        eps: added to the variance.
        momentum: of the running averages; the paper's is 0.01.

    Raises:
        ValueError: for a `max_scale` below 1 or a `max_shift` below 0.
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("max_scale", "max_shift", "eps", "momentum")
    running_mean: Tensor
    running_std: Tensor
    total_weight: Tensor  # Σᵢ (1-momentum)^(t-i) over batches i up to the newest, t

    def __init__(
        self,
        num_channels: int,
        max_scale: float = 3.0,
        max_shift: float = 5.0,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ):
        super().__init__(num_channels)
        if max_scale < 1 or max_shift < 0:
            raise ValueError(f"{max_scale=} must be at least 1, {max_shift=} at least 0")
        self.max_scale, self.max_shift = max_scale, max_shift
        self.eps, self.momentum = eps, momentum
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_std", torch.ones(num_channels))
        self.register_buffer("total_weight", torch.zeros(()))

    def normalize(self, x: Tensor) -> Tensor:
        if not self.training:
            return (x - per_channel(self.running_mean, x)) / per_channel(self.running_std, x)
        var, mean = torch.var_mean(x, over_batch(x), correction=0)
        std = (var + self.eps).sqrt()
        r, d = self._corrections(mean.detach(), std.detach())
        mean, std, r, d = (per_channel(values, x) for values in (mean, std, r, d))
        return (x - mean) / std * r + d

    @torch.no_grad()
    def _corrections(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """r and d, before the batch's statistics are taken into the running averages."""
        first = self.total_weight == 0
        past_mean = torch.where(first, mean, self.running_mean)
        past_std = torch.where(first, std, self.running_std)
        r = (std / past_std).clamp(1 / self.max_scale, self.max_scale)
        d = ((mean - past_mean) / past_std).clamp(-self.max_shift, self.max_shift)
        step = self.total_weight.mul_(1 - self.momentum).add_(1).reciprocal()
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), step)
        self.running_std.lerp_(std.to(self.running_std.dtype), step)
        return r, d
