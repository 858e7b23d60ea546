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

from normbench.norms.group_function import GroupNormFunction

# From what size, and up to which width of groups, GroupNormFunction is faster than torch's kernel
# for channels_last on the CPU. Microseconds of both, forward and backward, on one AMD EPYC core:
#   x (2, 16, 24, 24) in groups of 2:   261, 255     (128, 16, 24, 24) of 2:        2,514, 8,701
#   x (2, 32, 32, 32) in groups of 4:   315, 274     (128, 16, 24, 24) of 2, bf16:  3,992, 9,873
#   x (32, 16, 12, 12) in groups of 2:  349, 606     (128, 64, 6, 6) of 8:          662, 487
LARGE = 1 << 16  # values of x
NARROW = 4  # channels of a group


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
        if self.suits_function(x):
            return GroupNormFunction.apply(x, self.weight, self.bias, self.num_groups, self.eps)
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        if channels_last and x.device.type == "cpu":
            return self._by_torch(self._recenter(x)).to(x.dtype)
        # CUDA makes y contiguous whatever x is, and CUDA's autocast makes it fp32.
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        return self._by_torch(x).to(x.dtype, memory_format=memory_format)

    def _by_torch(self, x: Tensor) -> Tensor:
        # not torch.nn.functional's, which refuses groups of a single value
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def suits_function(self, x: Tensor) -> bool:
        """Whether x is what a function of our own is best for, rather than torch's kernel."""
        return (
            self.num_channels <= NARROW * self.num_groups
            and x.numel() >= LARGE
            and x.device.type == "cpu"
            and x.is_contiguous(memory_format=torch.channels_last)
            and self.weight.dtype in (torch.float32, torch.float64)
            and x.shape[1] == self.num_channels  # else torch says what is wrong
            and not torch._C._are_functorch_transforms_active()  # torch.func.vmap and the like
        )

    def _recenter(self, x: Tensor) -> Tensor:
        # The channels_last CPU kernel takes σ² as E[x²] - μ², which cancels when |μ| >> σ: at
        # 100 σ, y is wrong by some 0.05. As y is the same when a group is shifted, take off
        # something near μ that costs next to nothing, the mean of the group at one pixel.
        n, channels = x.shape[:2]
        pixel = x.detach().select(3, 0).select(2, 0).view(n, self.num_groups, -1)
        pixel = pixel.mean(2, keepdim=True, dtype=self.weight.dtype)
        pixel = pixel.expand(-1, -1, channels // self.num_groups).reshape(n, channels, 1, 1)
        return x - pixel


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
