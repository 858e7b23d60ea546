"""Batch-channel normalization of channels_last maps as one function with its gradient, for the CPU.

What it normalizes by in both its parts follows from the mean m and the biased variance v of each
map, so that x is gone through as often as in GroupNormFunction. The first part makes of x

    z = scale · (x - center) + shift

whose mean in a map is scale · (m - center) + shift, and whose variance is scale² · v; the maps of a
group make up its mean and variance. Names tell shapes as they do there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normbench.norms.group_function import (
    as_maps,
    gradients_with_graph,
    over_groups,
    pixels,
    to_channels,
)


def moments_of_maps(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The mean and the biased variance of each map of x (N, C, H, W), both (N, 1, C)."""
    x_NSC = pixels(x)
    mean_N1C = x_NSC.mean(1, keepdim=True, dtype=dtype)
    return mean_N1C, torch.sub(x_NSC, mean_N1C).square_().mean(1, keepdim=True)


class BatchChannelNormFunction(torch.autograd.Function):
    """torch.group_norm of scale · (x - center) + shift, with weight and bias.

    x (N, C, H, W) is channels_last, m and v are its ``moments_of_maps``; center, a constant to the
    gradient, scale, shift, weight and bias are (C,), of the dtype of m and v. All is computed in
    that; y has the dtype of x. A gradient that is itself to be differentiated is made by torch's
    operators.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        center: Tensor,
        mean_N1C: Tensor,
        var_N1C: Tensor,
        num_groups: int,
        eps: float,
    ) -> Tensor:
        z_mean_N1C = torch.addcmul(shift, mean_N1C - center, scale)
        # of a map's mean from its group's
        distance_N1C = z_mean_N1C - to_channels(over_groups(z_mean_N1C, num_groups), x)
        square_N1C = torch.addcmul(var_N1C * scale.square(), distance_N1C, distance_N1C)
        rstd_NK1 = over_groups(square_N1C, num_groups).add_(eps).rsqrt_()
        # y = z_scale · (z - E[z]) + bias = x_scale · x + x_shift
        z_scale_N1C = (rstd_NK1 * weight.view(num_groups, -1)).view_as(mean_N1C)
        x_scale_N1C = z_scale_N1C * scale
        x_shift_N1C = torch.addcmul(bias, z_scale_N1C, distance_N1C)
        x_shift_N1C.addcmul_(x_scale_N1C, mean_N1C, value=-1)
        y_NSC = torch.addcmul(x_shift_N1C, pixels(x).to(weight.dtype), x_scale_N1C)
        ctx.save_for_backward(
            x, scale, shift, weight, bias, center, mean_N1C, var_N1C,
            distance_N1C, rstd_NK1, z_scale_N1C, x_scale_N1C,
        )  # fmt: skip
        ctx.eps = eps
        return as_maps(y_NSC, x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight, bias, center, mean_N1C, var_N1C, *rest = ctx.saved_tensors
        distance_N1C, rstd_NK1, z_scale_N1C, x_scale_N1C = rest
        num_groups, count = rstd_NK1.shape[1], x.shape[2] * x.shape[3]
        nothing = (None,) * 5
        if torch.is_grad_enabled():

            def by_operators(
                x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor
            ) -> Tensor:
                z = (x.permute(0, 2, 3, 1) - center) * scale + shift
                z = z.permute(0, 3, 1, 2).contiguous()
                return torch.group_norm(z, num_groups, weight, bias, ctx.eps)

            inputs, needed = (x, scale, shift, weight, bias), ctx.needs_input_grad[:5]
            return *gradients_with_graph(by_operators, inputs, needed, dy), *nothing

        x_NSC, dy_NSC = pixels(x), pixels(dy).to(weight.dtype)
        room_NSC = x_NSC * dy_NSC
        # Σ dy, Σ dy (x - m) and Σ dy (z - E[z]) of each map
        dy_N1C = dy_NSC.sum(1, keepdim=True)
        dy_x_N1C = room_NSC.sum(1, keepdim=True).addcmul_(mean_N1C, dy_N1C, value=-1)
        dy_z_N1C = torch.addcmul(dy_x_N1C * scale, distance_N1C, dy_N1C)

        # dz = z_scale · dy - mean - slope · (z - E[z])
        mean_NK1 = over_groups(dy_N1C * z_scale_N1C, num_groups).div_(count)
        slope_NK1 = over_groups(dy_z_N1C * z_scale_N1C, num_groups).div_(count)
        slope_N1C = to_channels(slope_NK1.mul_(rstd_NK1.square()), x)
        offset_N1C = torch.addcmul(to_channels(mean_NK1, x), slope_N1C, distance_N1C)
        # dx = scale · dz = x_scale · dy - offset · scale - slope · scale² · (x - m)
        tilt_N1C = slope_N1C * scale.square()
        shift_N1C = torch.addcmul(tilt_N1C * mean_N1C, offset_N1C, scale, value=-1)
        dx_NSC = torch.addcmul(shift_N1C, dy_NSC, x_scale_N1C, out=room_NSC)
        dx_NSC.addcmul_(x_NSC.to(weight.dtype), tilt_N1C, value=-1)

        # Σ dz and Σ dz (x - center) of each map
        dz_N1C = (z_scale_N1C * dy_N1C).sub_(offset_N1C, alpha=count)
        spread_N1C = slope_N1C * scale * var_N1C
        dz_x_N1C = (z_scale_N1C * dy_x_N1C).sub_(spread_N1C, alpha=count)
        dz_x_N1C.addcmul_(mean_N1C - center, dz_N1C)
        dweight = (dy_z_N1C.view(len(x), num_groups, -1) * rstd_NK1).sum(0).view_as(weight)
        per_channel = (t.sum((0, 1)) for t in (dz_x_N1C, dz_N1C, dy_N1C))
        dscale, dshift, dbias = per_channel
        return as_maps(dx_NSC, x), dscale, dshift, dweight, dbias, *nothing
