"""Along the gradient: Santurkar et al. 2018, https://arxiv.org/abs/1805.11604, and Bjorck et al.
2018, https://arxiv.org/abs/1806.02375"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]  # (P,) -> ()


def gradient(loss: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    """The loss () and its gradient (P,) at x (P,)."""
    x = x.detach().requires_grad_()
    value = loss(x)
    return value.detach(), torch.autograd.grad(value, x)[0]


def along_gradient(loss: Loss, x: Tensor, step_sizes: Sequence[float]) -> dict[str, Tensor]:
    """What loss and gradient are at x - η g, for each step size η, with g the gradient at x.

    Returns:
        loss () and gradient_norm (): f(x) and ‖g‖;
        losses (S,): f(x - η g);
        gradient_changes (S,): ‖∇f(x - η g) - g‖.
        The two of Santurkar et al. that say how well g predicts follow from them (section 3.1):
        their gradient predictiveness is gradient_changes, their effective β-smoothness the largest
        of gradient_changes / (η gradient_norm).
    """
    value, g = gradient(loss, x)
    losses, changes = [], []
    for eta in step_sizes:
        there, g_there = gradient(loss, x - eta * g)
        losses.append(there)
        changes.append(l2_norm(g_there - g))
    return {
        "loss": value,
        "gradient_norm": l2_norm(g),
        "losses": torch.stack(losses),
        "gradient_changes": torch.stack(changes),
    }


def losses_after_step(loss: Loss, x: Tensor, step_sizes: Sequence[float]) -> dict[str, Tensor]:
    """The loss before and after one gradient step, for each step size: loss (), losses (S,)."""
    value, g = gradient(loss, x)
    with torch.no_grad():
        return {"loss": value, "losses": torch.stack([loss(x - eta * g) for eta in step_sizes])}


def l2_norm(v: Tensor) -> Tensor:
    """The L2 norm of all numbers of v, summed in float64."""
    return torch.linalg.vector_norm(v, dtype=torch.float64)
