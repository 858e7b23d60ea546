"""Adaptive gradient clipping: Brock, De, Smith & Simonyan 2021, https://arxiv.org/abs/2102.06171"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class AdaptiveGradientClipping:
    """Gradients that are large beside what they change are made smaller, one output unit at a time:

        G[i] ← G[i] · min(1, clip_factor · max(‖W[i]‖, eps) / ‖G[i]‖)

    the paper's equation 3. W[i] is the i-th row of a weight (O, I), or of one (O, I, kh, kw) the
    i-th filter; a bias or a gain (C,) is one unit. Of a weight that is reparametrized, W is the
    parameter. The last linear layer is not clipped, as in the paper.

    Args:
        model: whose parameters are trained.
        clip_factor: the paper's λ.
        eps: what the length of a weight counts for at least.

    Raises:
        ValueError: for a clip_factor or an eps that is not positive.

    Attributes:
        parameters: those that are clipped.
    """

    def __init__(self, model: nn.Module, clip_factor: float = 0.01, eps: float = 1e-3):
        if min(clip_factor, eps) <= 0:
            raise ValueError(f"{clip_factor=} and {eps=} must be positive")
        self.clip_factor, self.eps = clip_factor, eps
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        last = set(linear[-1].parameters()) if linear else set()
        self.parameters = [p for p in model.parameters() if p.requires_grad and p not in last]

    @torch.no_grad()
    def __call__(self, pairs: Iterable[tuple[Tensor, Tensor]], scale: Tensor) -> None:
        """Clip gradients in place, without a word from the host.

        Args:
            pairs: weights and gradients of `parameters`, two of one shape.
            scale: what the gradients are multiplied by, for fp16; a number on their device.
        """
        if not (pairs := list(pairs)):
            return
        gradients = [gradient for _, gradient in pairs]
        factors = [_unit_lengths(weight) for weight, _ in pairs]
        lengths = [_unit_lengths(gradient) for gradient in gradients]
        torch._foreach_clamp_min_(factors, self.eps)
        torch._foreach_mul_(factors, self.clip_factor * scale)
        torch._foreach_clamp_min_(lengths, 1e-6)  # of zeros, which stay
        torch._foreach_div_(factors, lengths)
        torch._foreach_clamp_max_(factors, 1.0)
        torch._foreach_mul_(gradients, factors)


def _unit_lengths(values: Tensor) -> Tensor:
    """(O, ...) -> (O, 1, ...); of no or one dimension, a single number."""
    if values.dim() < 2:
        return torch.linalg.vector_norm(values)
    return torch.linalg.vector_norm(values, dim=tuple(range(1, values.dim())), keepdim=True)
