"""Internal covariate shift in the optimization sense: Santurkar et al. 2018, definition 2.1,
https://arxiv.org/abs/1805.11604"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from normbench.calculus.batch_loss import Layer
from normbench.calculus.line import Loss, gradient, l2_norm


def covariate_shift(
    loss: Loss, x: Tensor, updated: Tensor, layers: Sequence[Layer]
) -> dict[str, Tensor]:
    """How the earlier layers' update changes the gradient of each layer's weight, on the same loss.

    For layer i, G is its weight's gradient at x, and G' the one where the parameters of layers
    1 … i - 1 are those of ``updated`` and all others still those of x.

    Args:
        loss: a function of all parameters.
        x, updated: all parameters (P,) before and after an update.
        layers: L of them, in order. The first has no earlier ones, so there G' = G.

    Returns:
        For each layer, (L,): norm_before ‖G‖, norm_after ‖G'‖, difference ‖G - G'‖ and cosine of
        the angle between G and G'.
    """
    before = gradient(loss, x)[1]
    rows = []
    for layer in layers:
        mixed = torch.cat([updated[: layer.start], x[layer.start :]])
        g, g_after = (v[layer.weight].double() for v in (before, gradient(loss, mixed)[1]))
        rows.append(torch.stack([l2_norm(g), l2_norm(g_after), l2_norm(g - g_after), g @ g_after]))
    norm_before, norm_after, difference, product = torch.stack(rows, 1)
    return {
        "norm_before": norm_before,
        "norm_after": norm_after,
        "difference": difference,
        "cosine": product / (norm_before * norm_after),
    }
