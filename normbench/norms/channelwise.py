"""What layers share that normalize in a way of their own, then scale and shift each channel."""

import torch
from torch import Tensor, nn


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """(C,) -> (C, 1, ...), as x (N, C, ...) can be computed with."""
    return values.view(-1, *[1] * (x.dim() - 2))


def over_batch(x: Tensor) -> tuple[int, ...]:
    """The dimensions of x (N, C, ...) besides C: of what a channel has in a batch."""
    return 0, *range(2, x.dim())


def over_positions(x: Tensor) -> tuple[int, ...]:
    """The dimensions of x (N, C, ...) after C: of what a channel has in a sample."""
    return tuple(range(2, x.dim()))


class ChannelwiseLayer(nn.Module):
    """y = weight[c] · normalize(x) + bias[c], where a layer says what its `normalize` is.

    All of it is computed in fp32 when x is bf16 or fp16; y has the dtype of x.
    x and y: (N, C), (N, C, L) or (N, C, H, W); weight and bias: (C,). Features (N, C) are
    normalized as sequences of one position.

    Args:
        num_channels: C.
        shift: whether there is a bias.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    shown: tuple[str, ...] = ()  # settings that are told when the layer is printed

    def __init__(self, num_channels: int, shift: bool = True):
        super().__init__()
        self.num_channels = num_channels
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels)) if shift else None

    def normalize(self, x: Tensor) -> Tensor:
        """What is scaled and shifted, of the shape of x (N, C, L) or (N, C, H, W), fp32 or fp64."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.num_channels:
            raise RuntimeError(f"x has {x.shape[1]} channels, the layer {self.num_channels}")
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        y = self.normalize(y) if x.dim() > 2 else self.normalize(y.unsqueeze(2)).squeeze(2)
        y = y * per_channel(self.weight, x)
        if self.bias is not None:
            y = y + per_channel(self.bias, x)
        return y.to(x.dtype)

    def extra_repr(self) -> str:
        shown = (f"{name}={getattr(self, name)}" for name in self.shown)
        return ", ".join([str(self.num_channels), *shown])
