"""What a step of Ranger does to a parameter, without a word from the host.

All that depends on the step is in a row of a table, which a counter on the device points at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

# A row of the table: what an update needs to know of its step t, in double precision.
REST1, BIAS1 = 0, 1  # 1 - b1, 1 - b1^t
B2, REST2 = 2, 3  # b2, 1 - b2
DECAY = 4  # weight decay
SIZE = 5  # step size over learning rate, times 1 - b1^t
ROOT, FLOOR = 6, 7  # the denominator is ROOT sqrt(v) + FLOOR
PULL, MOVES = 8, 9  # how far the slow weights move, whether they move


def coefficients(group: dict[str, Any], steps: int) -> Tensor:
    """The table (steps, 10), float64, of a parameter group's settings."""
    (b1, b2), every = group["betas"], group["lookahead_steps"]
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    bias2 = 1 - b2**t
    rho_inf = 2 / (1 - b2) - 1
    rho = rho_inf - 2 * t * b2**t / bias2
    r = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)).sqrt()
    rectified = rho > 5
    moves = (t % every == 0).double() if every else torch.zeros_like(t)
    columns = {
        REST1: torch.full_like(t, 1 - b1),
        BIAS1: 1 - b1**t,
        B2: torch.full_like(t, b2),
        REST2: torch.full_like(t, 1 - b2),
        DECAY: torch.full_like(t, group["weight_decay"]),
        SIZE: torch.where(rectified, r * bias2.sqrt(), 1.0),
        ROOT: rectified.double(),
        FLOOR: torch.where(rectified, group["eps"] * bias2.sqrt(), 1.0),
        PULL: group["lookahead_pull"] * moves,
        MOVES: moves,
    }
    return torch.stack([columns[i] for i in range(len(columns))], dim=1)


def set_b1(row: Tensor, b1: Tensor, steps_done: Tensor) -> None:
    """Put another b1, a number, into a row."""
    b1 = b1.double()
    row[REST1] = 1 - b1
    row[BIAS1] = 1 - b1 ** (steps_done[0] + 1)


def for_parameter(p: Tensor) -> Callable[..., None]:
    """The best of the updates for a parameter, all of which have the same arguments."""
    fits = p.device.type == "cuda" and p.dtype == torch.float32 and p.is_contiguous()
    return (fits and _kernel()) or update_by_operators


def update_by_operators(
    p: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    slow: Tensor | None,
    lr: Tensor,
    row: Tensor,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """One update of a parameter and its state, in place, without a word from the host.

    Args:
        p, g, m, v, slow: the parameter, its gradient and its state, of one shape.
        lr: learning rate, a number.
        row: the step's coefficients (10,), float64.
        grad_scale: what the gradient was multiplied with.
        found_inf: 0, or something else to leave everything as it is.
    """
    rest1, bias1, b2, rest2, decay, size, root, floor, pull, moves = row.unbind()
    changed = [p, m, v] if slow is None else [p, m, v, slow]
    if found_inf is not None:
        before = [tensor.clone() for tensor in changed]
    if grad_scale is not None:
        g = g / grad_scale

    p.mul_(1 - lr * decay)
    m.lerp_(g, rest1.to(m.dtype))
    v.mul_(b2).addcmul_(g * rest2, g)
    denominator = v.sqrt().mul_(root).add_(floor)
    p.addcdiv_(m * (-lr * size / bias1), denominator)
    if slow is not None:
        slow.lerp_(p, pull.to(p.dtype))
        p.lerp_(slow, moves.to(p.dtype))

    if found_inf is not None:
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(torch.where(found_inf == 0, tensor, old))


@cache
def _kernel() -> Callable[..., None] | None:
    """``update_by_operators`` as one kernel, or None where Triton is missing or cannot compile."""
    try:
        from normbench.engine.ranger_kernel import update_by_kernel

        tensors = [torch.zeros(1, device="cuda") for _ in range(5)]
        numbers = [torch.zeros(n, dtype=torch.float64, device="cuda") for n in (1, 10)]
        update_by_kernel(*tensors, *numbers)
    except Exception as error:  # whatever is amiss with a compiler, there is a way without
        log.warning("Ranger does without its Triton kernel, slower: %s", error)
        return None
    return update_by_kernel
