"""The ResNets of CIFAR-10: He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.models.parts import (
    Init,
    NormLayer,
    initialize,
    make_activation,
    needs_bias,
)

WIDTHS = (16, 32, 64)


class ResidualBlock(nn.Module):
    """Two convolutions, each with a norm, beside a shortcut without parameters, the paper's option
    A: where the sides halve, every other pixel, with channels of zeros added.

    x: (N, in_channels, H, W), y: (N, channels, H / stride, W / stride).
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        in_channels: int,
        channels: int,
        stride: int,
        activation: str,
        shortcut: bool,
    ):
        super().__init__()
        self.stride, self.more = stride, channels - in_channels
        self.shortcut = shortcut
        self.conv1, self.norm1 = _convolution(norm_layer, in_channels, channels, stride)
        self.activation1 = make_activation(activation)
        self.conv2, self.norm2 = _convolution(norm_layer, channels, channels, 1)
        self.activation2 = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.shortcut:
            short = x[:, :, :: self.stride, :: self.stride]
            y = y + F.pad(short, (0, 0, 0, 0, 0, self.more))
        return self.activation2(y)


class ResNetCifar(nn.Module):
    """A convolution, three stages of blocks with 16, 32 and 64 channels, an average over positions,
    a linear head.

    Args:
        norm_layer: number of channels -> layer.
        num_classes: width of the output.
        depth: layers with weights: 6 n + 2 for n blocks a stage, such as 20, 56 or 110.
        shortcuts: whether blocks have any; without, it is the paper's plain network.
        activation: relu, sigmoid, tanh, selu or gelu.
        init, init_scale: see ``parts.initialize``.
        in_channels: of the images.

    Shapes: images (N, in_channels, H, W) -> logits (N, num_classes).

    Raises:
        ValueError: for another depth, or an unknown choice.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        depth: int = 20,
        shortcuts: bool = True,
        activation: str = "relu",
        init: Init = "kaiming",
        init_scale: float = 1.0,
        in_channels: int = 3,
    ):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise ValueError(f"depth {depth} is not 6 n + 2: choose 20, 32, 44, 56, 110 or another")
        channels = WIDTHS[0]
        self.conv, self.norm = _convolution(norm_layer, in_channels, channels, 1)
        self.activation = make_activation(activation)
        stages: list[nn.Module] = []
        for width in WIDTHS:
            stage: list[nn.Module] = []
            for _ in range(blocks):
                stride = 1 if width == channels else 2
                stage.append(
                    ResidualBlock(norm_layer, channels, width, stride, activation, shortcuts)
                )
                channels = width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)
        initialize(self, init, init_scale)

    def forward(self, images: Tensor) -> Tensor:
        x = self.activation(self.norm(self.conv(images)))
        return self.head(torch.mean(self.stages(x), (2, 3)))


def _convolution(
    norm_layer: NormLayer, in_channels: int, channels: int, stride: int
) -> tuple[nn.Conv2d, nn.Module]:
    """A 3 x 3 convolution, and the norm that follows it."""
    norm = norm_layer(channels)
    return nn.Conv2d(in_channels, channels, 3, stride, 1, bias=needs_bias(norm)), norm
