"""Ranger's update as one Triton kernel: each number of the state is read and written once.

``ranger_update.update_by_operators`` is the same in torch's operators, and its reference.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # numbers that a program updates


def update_by_kernel(
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
    """``ranger_update.update_by_operators`` for contiguous float32 tensors."""
    scaled = found_inf is not None
    _update[(triton.cdiv(p.numel(), BLOCK),)](
        p, g.contiguous(), m, v, m if slow is None else slow, lr, row,
        grad_scale if scaled else row, found_inf if scaled else row, p.numel(),
        LOOKAHEAD=slow is not None, SCALED=scaled, BLOCK=BLOCK,
    )  # fmt: skip


@triton.jit
def _update(
    p_ptr: tl.tensor, g_ptr: tl.tensor, m_ptr: tl.tensor, v_ptr: tl.tensor, slow_ptr: tl.tensor,
    lr_ptr: tl.tensor, row_ptr: tl.tensor, scale_ptr: tl.tensor, found_inf_ptr: tl.tensor,
    count: tl.tensor, LOOKAHEAD: tl.constexpr, SCALED: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    # the columns of ranger_update's table
    rest1 = tl.load(row_ptr).to(tl.float32)
    bias1 = tl.load(row_ptr + 1)
    b2 = tl.load(row_ptr + 2).to(tl.float32)
    rest2 = tl.load(row_ptr + 3).to(tl.float32)
    decay = tl.load(row_ptr + 4)
    size = tl.load(row_ptr + 5)
    root = tl.load(row_ptr + 6).to(tl.float32)
    floor = tl.load(row_ptr + 7).to(tl.float32)
    pull = tl.load(row_ptr + 8).to(tl.float32)
    moves = tl.load(row_ptr + 9)
    lr = tl.load(lr_ptr).to(tl.float64)
    kept = (1 - lr * decay).to(tl.float32)
    size = (lr * size / bias1).to(tl.float32)

    if SCALED:
        count = tl.where(tl.load(found_inf_ptr) == 0, count, 0)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    p = tl.load(p_ptr + at, mask=inside)
    g = tl.load(g_ptr + at, mask=inside)
    m = tl.load(m_ptr + at, mask=inside)
    v = tl.load(v_ptr + at, mask=inside)
    if SCALED:
        g = tl.div_rn(g, tl.load(scale_ptr))

    m += rest1 * (g - m)
    v = b2 * v + rest2 * g * g
    p = p * kept - tl.div_rn(size * m, root * tl.sqrt_rn(v) + floor)
    tl.store(m_ptr + at, m, mask=inside)
    tl.store(v_ptr + at, v, mask=inside)
    if LOOKAHEAD:
        if moves != 0:  # at the other steps, the slow weights need not even be read
            slow = tl.load(slow_ptr + at, mask=inside)
            p = slow + pull * (p - slow)
            tl.store(slow_ptr + at, p, mask=inside)
    tl.store(p_ptr + at, p, mask=inside)
