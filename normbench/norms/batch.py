"""Batch normalization: Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167

Both layers compute, for each channel c,

    y = weight[c] · (x - μ[c]) / √(σ²[c] + eps) + bias[c]

and differ in where μ and σ² come from. x and y: (N, C), (N, C, L) or (N, C, H, W); weight, bias, μ
and σ²: (C,). A batch's statistics are over N and, where there are any, over L, or H and W.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.norms.channelwise import over_batch, per_channel


class BatchNorm(nn.BatchNorm2d):
    """μ and σ² (biased) are the batch's in training, and in evaluation their running averages:

        running ← (1 - momentum) · running + momentum · batch          (of the unbiased variance)

    This is torch.nn.BatchNorm2d, and for (N, C) and (N, C, L) BatchNorm1d, state dict included,
    except that it can train on one value per channel (N·H·W = 1) too: there σ² = 0, so y = bias,
    and the running variance takes in that 0.

    Args:
        num_channels: C.
        eps: added to σ².
        momentum: of the running averages.

    Raises:
        ValueError: if x has neither 2, 3 nor 4 dimensions.
        RuntimeError: if C is not `num_channels`.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__(num_channels, eps=eps, momentum=momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() not in (2, 3, 4):
            raise ValueError(f"x has {x.dim()} dimensions: give (N, C), (N, C, L) or (N, C, H, W)")

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return self._forward_single(x)
        return super().forward(x)

    def _forward_single(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(x.flatten().to(self.running_mean.dtype), self.momentum)
            self.running_var.mul_(1 - self.momentum)
        # x - x rather than 0 keeps x and weight in the graph, with gradient 0, and lets a NaN show.
        weight, bias = (per_channel(values, x) for values in (self.weight, self.bias))
        return ((x - x) * weight + bias).to(x.dtype)


class RunningBatchNorm(nn.Module):
    """μ and σ² are running averages of the batches' means and biased variances, in training too.

    A training batch first updates them and is then normalized by them. Evaluation normalizes in the
    same way and updates nothing.

    The averages are debiased as Adam's are. After the batches b₁ … b_t, with m = momentum,

        running = Σᵢ m (1-m)^(t-i) bᵢ / (1 - (1-m)^t)

    so they are made of batches only, and the first step uses the first batch's own statistics. If
    they started at an arbitrary 0 and 1, some 1/m steps would be normalized by those; in BatchNorm
    that only concerns evaluation, here it would be training. Before any training μ = 0, σ² = 1.
    The same step by step, which is what the settings below vary:

        w ← (1-m) w + 1     s = 1 / w     μ ← μ + s (μ_b - μ)     σ² ← σ² + s (σ²_b - σ²)

    Args:
        num_channels: C.
        eps: added to σ².
        momentum: m, the step s after many batches.
        gradient: False: a batch is normalized by μ and σ² as by constants. True: gradient flows
            through the newest batch's share of them, s μ_b and s σ²_b; older batches are constants.
            With m = 1 this is BatchNorm in training.
        pooled: False: σ² averages the variances within batches. True: it is the variance of all
            values under the weights that μ has, E[x²] - μ², and so holds the spread of the batches'
            means, too: (1-s) (μ_b - μ)², with the old μ, is added to σ²_b.
        by_size: True: larger batches of n samples move the averages more, with
            1 - (1-m) / √max(n-1, 1) in the place of m: m for 2 samples, 0.92 for 128 where m = 0.1.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    running_mean: Tensor
    running_var: Tensor
    total_weight: Tensor  # w; Σᵢ (1-m)^(t-i)

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        gradient: bool = False,
        pooled: bool = False,
        by_size: bool = False,
    ):
        super().__init__()
        self.num_channels, self.eps, self.momentum = num_channels, eps, momentum
        self.gradient, self.pooled, self.by_size = gradient, pooled, by_size
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))
        self.register_buffer("total_weight", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            # Apart from the buffers: the backward pass needs the statistics of this forward,
            # whatever forwards follow it.
            mean, var = self._update(x)
            if self.gradient:
                return self._normalize(x, mean, var)
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=self.eps)

    def _update(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Take a batch into the averages, and return them."""
        if self.gradient:
            var, mean = torch.var_mean(x.to(self.running_mean.dtype), over_batch(x), correction=0)
        else:
            mean, var = self._batch_statistics(x)
        return self.take(mean, var, len(x))

    def take(self, mean: Tensor, var: Tensor, samples: int) -> tuple[Tensor, Tensor]:
        """Take the mean and the biased variance (C,) of so many samples into the averages, and
        return these.
        """
        momentum = self.momentum
        if self.by_size:
            momentum = 1 - (1 - momentum) / math.sqrt(max(samples - 1, 1))
        # With 1 / total_weight for a step (1 for the first batch, then falling to m) the buffers
        # are debiased at all times, and ready to use.
        with torch.no_grad():
            step = self.total_weight.mul_(1 - momentum).add_(1).reciprocal()
        if self.pooled:
            var = var + (1 - step) * (mean - self.running_mean).square()
        mean = self.running_mean.lerp(mean, step)
        var = self.running_var.lerp(var, step)
        with torch.no_grad():
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return mean, var

    @torch.no_grad()
    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # torch's own running update is neither biased nor debiased, so it goes to scratch. It is
        # asked for because its dtype makes the batch's statistics fp32 when x is bf16 or fp16.
        scratch = torch.empty_like(self.running_mean), torch.empty_like(self.running_var)
        return torch.batch_norm_update_stats(x, *scratch, momentum=0.0)

    def _normalize(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """What F.batch_norm does with running statistics, to which it passes no gradient."""
        scale = self.weight * (var + self.eps).rsqrt()
        mean, scale, bias = (per_channel(c, x) for c in (mean, scale, self.bias))
        return ((x - mean) * scale + bias).to(x.dtype)

    def extra_repr(self) -> str:
        text = f"{self.num_channels}, eps={self.eps}, momentum={self.momentum}"
        for setting in ("gradient", "pooled", "by_size"):
            text += f", {setting}=True" if getattr(self, setting) else ""
        return text
