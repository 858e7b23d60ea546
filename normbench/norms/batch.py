"""Batch normalization: Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167

Both layers compute, for each channel c,

    y = weight[c] · (x - μ[c]) / √(σ²[c] + eps) + bias[c]

and differ in where μ and σ² come from. x and y: (N, C, H, W); weight, bias, μ and σ²: (C,).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """μ and σ² (biased) are the batch's in training, and in evaluation their running averages:

        running ← (1 - momentum) · running + momentum · batch          (of the unbiased variance)

    This is torch.nn.BatchNorm2d, state dict included, except that it can train on one value per
    channel (N·H·W = 1) too: there σ² = 0, so y = bias, and the running variance takes in that 0.

    Raises ValueError when x does not have 4 dimensions, RuntimeError when C is not `num_channels`.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__(num_channels, eps=eps, momentum=momentum)

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
        weight, bias = self.weight.view(1, -1, 1, 1), self.bias.view(1, -1, 1, 1)
        return ((x - x) * weight + bias).to(x.dtype)


class RunningBatchNorm(nn.Module):
    """μ and σ² are running averages of the batches' means and biased variances, in training too.

    A training batch first updates them and is then normalized by them, as by constants: no gradient
    flows through them. Evaluation normalizes in the same way and updates nothing.

    The averages are debiased as Adam's are. After the batches b₁ … b_t, with m = momentum,

        running = Σᵢ m (1-m)^(t-i) bᵢ / (1 - (1-m)^t)

    so they are made of batches only, and the first step uses the first batch's own statistics. If
    they started at an arbitrary 0 and 1, some 1/m steps would be normalized by those; in BatchNorm
    that only concerns evaluation, here it would be training. Before any training μ = 0, σ² = 1.

    Raises RuntimeError when C is not `num_channels`.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.num_channels, self.eps, self.momentum = num_channels, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))
        self.register_buffer("total_weight", torch.zeros(()))  # Σᵢ (1-m)^(t-i)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            self._update(x)
            # The backward pass needs the statistics of this forward, whatever forwards follow it.
            mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=self.eps)

    @torch.no_grad()
    def _update(self, x: Tensor) -> None:
        # torch's own running update is neither biased nor debiased, so it goes to scratch. It is
        # asked for because its dtype makes the batch's statistics fp32 when x is bf16 or fp16.
        scratch = torch.empty_like(self.running_mean), torch.empty_like(self.running_var)
        mean, var = torch.batch_norm_update_stats(x, *scratch, momentum=0.0)
        # With 1 / total_weight for a step (1 for the first batch, then falling to m) the buffers
        # are debiased at all times, and ready to use.
        step = self.total_weight.mul_(1 - self.momentum).add_(1).reciprocal()
        self.running_mean.lerp_(mean, step)
        self.running_var.lerp_(var, step)

    def extra_repr(self) -> str:
        return f"{self.num_channels}, eps={self.eps}, momentum={self.momentum}"
