"""Batch normalization whose output is disturbed: Santurkar et al. 2018,
https://arxiv.org/abs/1805.11604
"""

import torch
from torch import Tensor

from normbench.norms.batch import BatchNorm


class NoisyBatchNorm(BatchNorm):
    """BatchNorm, followed in training by a random scale and shift of every channel of every sample:

        y[n, c] = s[n, c] · BatchNorm(x)[n, c] + m[n, c]
        m[n, c] ~ U(μ[c] - shift_spread, μ[c] + shift_spread),   μ[c] ~ U(-shift, shift)
        s[n, c] ~ N(σ[c], scale_spread),                         σ[c] ~ U(1, scale)

    with all of these drawn anew at every step. So no channel has a mean or a variance that the next
    layer could get used to. The defaults are those of the paper's appendix, in its notation n_μ,
    n_σ, r_μ and r_σ; a unit, in the paper's words, is here a channel. Evaluation is BatchNorm's.

    Random numbers come from torch's generator for the device of x, as dropout's do: in a run they
    depend on its seed alone, and a CUDA graph draws new ones at each replay.

    Args:
        num_channels: C.
        eps, momentum: BatchNorm's.
        shift, scale, shift_spread, scale_spread: as in the formulas.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        shift: float = 0.5,
        scale: float = 1.25,
        shift_spread: float = 0.1,
        scale_spread: float = 0.1,
    ):
        super().__init__(num_channels, eps, momentum)
        self.shift, self.scale = shift, scale
        self.shift_spread, self.scale_spread = shift_spread, scale_spread

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        if not self.training:
            return y
        n, c, *others = x.shape
        ones = [1] * len(others)
        unit, each = (torch.rand(rows, c, *ones, device=x.device) for rows in (1, n))
        m = self.shift * (2 * unit - 1) + self.shift_spread * (2 * each - 1)
        unit, each = torch.rand_like(unit), torch.randn_like(each)
        s = 1 + (self.scale - 1) * unit + self.scale_spread * each
        return (y * s + m).to(x.dtype)

    def extra_repr(self) -> str:
        noise = ", ".join(
            f"{name}={getattr(self, name)}"
            for name in ("shift", "scale", "shift_spread", "scale_spread")
        )
        return f"{super().extra_repr()}, {noise}"
