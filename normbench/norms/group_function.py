"""Group normalization of channels_last maps as one function with its gradient, for the CPU.

torch's kernel for them goes through the channels of one group at each pixel, which leaves a
processor's vectors mostly empty where these are few. Here every pass goes through whole pixels, and
σ² is the mean of (x - μ)². With scale = weight / √(σ² + eps) and E the mean over a group,

    y = scale · (x - μ) + bias
    dx = scale · dy - E[scale · dy] - (x - μ) · E[scale · dy · (x - μ)] / (σ² + eps)

Names tell shapes: N samples, S pixels, C channels, K groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class GroupNormFunction(torch.autograd.Function):
    """torch.group_norm of x (N, C, H, W), channels_last, with weight and bias (C,), fp32 or fp64.

    All is computed in their dtype; y has that of x. A gradient that is itself to be differentiated
    is made by torch's operators.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float
    ) -> Tensor:
        x_NSC = pixels(x)
        mean_N1C = to_channels(over_groups(x_NSC.mean(1, dtype=weight.dtype), num_groups), x)
        # y itself, no view: an activation that works in place may follow
        y = torch.empty_like(x, dtype=weight.dtype, memory_format=torch.channels_last)
        room_NSC = torch.sub(x_NSC, mean_N1C, out=pixels(y)).square_()
        rstd_NK1 = over_groups(room_NSC.mean(1), num_groups).add_(eps).rsqrt_()
        scale_N1C = (rstd_NK1 * weight.view(num_groups, -1)).view_as(mean_N1C)
        shift_N1C = torch.addcmul(bias, mean_N1C, scale_N1C, value=-1)
        # into memory that is in a cache already
        torch.addcmul(shift_N1C, x_NSC.to(weight.dtype), scale_N1C, out=room_NSC)
        ctx.save_for_backward(x, weight, bias, mean_N1C, rstd_NK1, scale_N1C)
        ctx.eps = eps
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean_N1C, rstd_NK1, scale_N1C = ctx.saved_tensors
        num_groups, count = rstd_NK1.shape[1], x.shape[2] * x.shape[3]
        if torch.is_grad_enabled():

            def by_operators(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
                return torch.group_norm(x.contiguous(), num_groups, weight, bias, ctx.eps)

            inputs, needed = (x, weight, bias), ctx.needs_input_grad[:3]
            return *gradients_with_graph(by_operators, inputs, needed, dy), None, None
        x_NSC, dy_NSC = pixels(x), pixels(dy).to(weight.dtype)
        room_NSC = x_NSC * dy_NSC
        dbias_N1C = dy_NSC.sum(1, keepdim=True)
        # Σ dy (x - μ)
        dscale_N1C = room_NSC.sum(1, keepdim=True).addcmul_(mean_N1C, dbias_N1C, value=-1)
        mean_NK1 = over_groups(dbias_N1C * scale_N1C, num_groups).div_(-count)
        slope_NK1 = over_groups(dscale_N1C * scale_N1C, num_groups).div_(-count)
        slope_N1C = to_channels(slope_NK1.mul_(rstd_NK1.square()), x)
        shift_N1C = torch.addcmul(to_channels(mean_NK1, x), mean_N1C, slope_N1C, value=-1)
        dx_NSC = torch.addcmul(shift_N1C, dy_NSC, scale_N1C, out=room_NSC)
        dx_NSC.addcmul_(x_NSC.to(weight.dtype), slope_N1C)
        dweight = (dscale_N1C.view(len(x), num_groups, -1) * rstd_NK1).sum(0).view_as(weight)
        return as_maps(dx_NSC, x), dweight, dbias_N1C.sum((0, 1)), None, None


def gradients_with_graph(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], needed: Sequence[bool], dy: Tensor
) -> list[Tensor | None]:
    """The gradients of a function's inputs, as far as they are needed, with a graph of how they
    were made.
    """
    y = function(*inputs)
    wanted = [tensor for tensor, is_needed in zip(inputs, needed, strict=True) if is_needed]
    gradients = iter(torch.autograd.grad(y, wanted, dy.to(y.dtype), create_graph=True))
    return [next(gradients) if is_needed else None for is_needed in needed]


def pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, S, C), a view of what is channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def as_maps(pixels_NSC: Tensor, x: Tensor) -> Tensor:
    """The reverse, of the shape and dtype of x."""
    n, c, h, w = x.shape
    return pixels_NSC.to(x.dtype).view(n, h, w, c).permute(0, 3, 1, 2)


def over_groups(values: Tensor, num_groups: int) -> Tensor:
    """The means of groups of channels, (N, K, 1), of values (N, C) or (N, 1, C)."""
    return values.view(len(values), num_groups, -1).mean(2, keepdim=True)


def to_channels(values_NK1: Tensor, x: Tensor) -> Tensor:
    """What each channel of x takes from its group, (N, 1, C), in memory of its own."""
    n, num_groups, _ = values_NK1.shape
    width = x.shape[1] // num_groups
    return values_NK1.expand(n, num_groups, width).reshape(n, 1, -1)
