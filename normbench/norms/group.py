"""Group normalization: Wu & He 2018, https://arxiv.org/abs/1803.08494
Layer normalization: Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450
Instance normalization: Ulyanov, Vedaldi & Lempitsky 2016, https://arxiv.org/abs/1607.08022

For each sample n and channel c, which is in group g of C / num_groups consecutive channels,

    y = weight[c] · (x - μ[n, g]) / √(σ²[n, g] + eps) + bias[c]

with μ and σ² (biased) over the group's channels and over L, or H and W, in training and evaluation
alike. x and y: (N, C), (N, C, L) or (N, C, H, W); weight and bias: (C,). On (N, C, L) LayerNorm is
another one: see there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """torch.nn.GroupNorm, state dict included, with the number of channels as first argument.

    Unlike torch's, y keeps the dtype and memory format of x on CUDA and under its autocast too, and
    is accurate for channels_last on the CPU.

    Args:
        num_channels: C.
        num_groups: of consecutive channels.
        eps: added to σ².

    Raises:
        ValueError: if `num_groups` is less than 1 or does not divide `num_channels`.
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, num_groups: int = 8, eps: float = 1e-5):
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_groups=} must be at least 1 and divide {num_channels=}")
        super().__init__(num_groups, num_channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        y = self._recenter(x) if channels_last and x.device.type == "cpu" else x
        # not torch.nn.functional's, which refuses groups of a single value
        y = torch.group_norm(y, self.num_groups, self.weight, self.bias, self.eps)
        # CUDA makes y contiguous whatever x is, and CUDA's autocast makes it fp32.
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        return y.to(x.dtype, memory_format=memory_format)

    def _recenter(self, x: Tensor) -> Tensor:
        # The channels_last CPU kernel takes σ² as E[x²] - μ², which cancels when |μ| >> σ: at
        # 100 σ, y is wrong by some 0.05. As y is the same when a group is shifted, take off
        # something near μ that costs next to nothing, the mean of the group at one pixel.
        with torch.no_grad():
            pixel = x[:, :, 0, 0].to(self.weight.dtype).unflatten(1, (self.num_groups, -1))
            pixel = pixel.mean(2, keepdim=True).expand_as(pixel).flatten(1)
        return x - pixel[:, :, None, None]


class LayerNorm(GroupNorm):
    """GroupNorm with one group: each sample is normalized over (C, H, W), with a scale and a shift
    for each channel; features (N, C) over C.

    In sequences (N, C, L), such as a transformer's tokens, each position is normalized by itself,
    over C, as the paper does in recurrent networks and torch.nn.LayerNorm(C) on (N, L, C).

    Args:
        num_channels: C.
        eps: added to σ².

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5):
        super().__init__(num_channels, num_groups=1, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 3:
            return super().forward(x)
        y = F.layer_norm(x.mT, (self.num_channels,), self.weight, self.bias, self.eps)
        return y.mT.to(x.dtype)


class InstanceNorm(GroupNorm):
    """GroupNorm with a group for each channel: each map is normalized by itself, over (H, W), and
    each channel of a sequence over L. Features (N, C) have one value for each, and are refused.

    torch.nn.InstanceNorm2d, or InstanceNorm1d, with affine=True, state dict included, except that
    it can train on maps of a single value, too, of which it makes the bias, and that y keeps the
    memory format of x.

    Args:
        num_channels: C.
        eps: added to σ².

    Raises:
        ValueError: for features (N, C).
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, eps: float = 1e-5):
        super().__init__(num_channels, num_groups=num_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            raise ValueError(
                f"InstanceNorm has nothing to normalize in features {tuple(x.shape)}, a single "
                "value for each channel of a sample: choose another norm"
            )
        return super().forward(x)
