"""Batch normalization taken apart, to see which part of it does what."""

import torch
from torch import Tensor, nn

from normbench.norms.channelwise import over_batch, per_channel


class PartialBatchNorm(nn.Module):
    """Batch normalization (Ioffe & Szegedy 2015) with some of its parts left out:

        y = weight[c] · (x - μ[c]) / √(σ²[c] + eps) + bias[c]

    x and y: (N, C), (N, C, L) or (N, C, H, W); weight, bias, μ and σ² (biased): (C,).

    Args:
        num_channels: C.
        center: whether μ is subtracted.
        scale: whether x is divided by √(σ² + eps).
        statistics_gradient: whether the gradient flows through μ and σ² too. If not, these are
            constants to it: y is the same, and the gradient is that of scaling and shifting alone.
        affine: whether there are a weight and a bias.
        eps, momentum: as in BatchNorm, whose running averages are kept for evaluation.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    running_mean: Tensor  # if center
    running_var: Tensor  # if scale

    def __init__(
        self,
        num_channels: int,
        center: bool = True,
        scale: bool = True,
        statistics_gradient: bool = True,
        affine: bool = True,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ):
        super().__init__()
        self.num_channels, self.eps, self.momentum = num_channels, eps, momentum
        self.center, self.scale, self.statistics_gradient = center, scale, statistics_gradient
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None
        if center:
            self.register_buffer("running_mean", torch.zeros(num_channels))
        if scale:
            self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.num_channels:
            raise RuntimeError(f"x has {x.shape[1]} channels, the layer {self.num_channels}")
        y = x.to(torch.promote_types(x.dtype, torch.float32))  # statistics are fp32 at least
        mean, var = self._statistics(y)
        if mean is not None:
            y = y - per_channel(mean, x)
        factor = None if var is None else (var + self.eps).rsqrt()
        if self.weight is not None:
            factor = self.weight if factor is None else self.weight * factor
        if factor is not None:
            y = y * per_channel(factor, x)
        if self.bias is not None:
            y = y + per_channel(self.bias, x)
        return y.to(x.dtype)

    def _statistics(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """μ and σ² (C,), None for what is not used; in training, the averages move towards them."""
        if not self.training:
            return getattr(self, "running_mean", None), getattr(self, "running_var", None)
        mean: Tensor | None = None
        var: Tensor | None = None
        if self.scale:
            var, mean = torch.var_mean(x, over_batch(x), correction=0)
        elif self.center:
            mean = x.mean(over_batch(x))
        if not self.center:
            mean = None
        if not self.statistics_gradient:
            mean, var = (part if part is None else part.detach() for part in (mean, var))
        with torch.no_grad():
            if mean is not None:
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            if var is not None:
                count = x.numel() // x.shape[1]
                unbiased = var * (count / max(1, count - 1))
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
        return mean, var

    def extra_repr(self) -> str:
        parts = [name for name in ("center", "scale", "statistics_gradient") if getattr(self, name)]
        parts += ["affine"] * (self.weight is not None)
        return f"{self.num_channels}, {' '.join(parts)}, eps={self.eps}, momentum={self.momentum}"
