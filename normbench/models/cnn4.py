"""The article's "small 4 layer convolutional network"; all but the number of layers is inferred."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from normbench.models.parts import (
    ORDERS,
    NormLayer,
    Order,
    check_choice,
    make_activation,
    make_dropout,
    needs_bias,
    ordered,
)


class MeanAndMaximum(nn.Module):
    """(N, C, H, W) -> (N, 2 C): each channel's mean, then each channel's maximum."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


POOLS: dict[str, Callable[[], nn.Module]] = {
    "average": partial(nn.AdaptiveAvgPool2d, 1),
    "concat": MeanAndMaximum,
    "flatten": nn.Identity,
}


class CNN4(nn.Module):
    """Convolutions that halve the sides, each with a norm and an activation, then a linear head.

    Args:
        norm_layer: number of channels -> layer, as in torchvision's models.
        num_classes: width of the output.
        widths: output channels of each convolution.
        kernel_size: an odd number of pixels, or one for each convolution.
        order: whether the norm stands after the activation (``relu_norm``) or before it
            (``norm_relu``).
        downsampling: by the convolution's ``stride`` or by a ``max_pool`` after the block.
        conv_bias: whether convolutions have a bias; ``auto``: where the norm has no parameters.
        head: ``average`` pools each channel to its mean, ``concat`` to its mean and its maximum,
            ``flatten`` keeps every position.
        init: ``kaiming`` (He et al. 2015: normal, fan in, biases 0) or PyTorch's ``default``.
        image_size: side of the images in pixels; only ``flatten`` needs it, for the head's width.
        in_channels: of the images.
        activation: relu, sigmoid, tanh, selu or gelu.
        dropout: share of the head's inputs that training drops.

    Shapes: images (N, in_channels, H, W) -> logits (N, num_classes).

    Raises:
        ValueError: for an unknown choice.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        widths: Sequence[int] = (16, 32, 64, 128),
        kernel_size: int | Sequence[int] = 3,
        order: Order = "relu_norm",
        downsampling: Literal["stride", "max_pool"] = "stride",
        conv_bias: bool | Literal["auto"] = "auto",
        head: Literal["average", "concat", "flatten"] = "average",
        init: Literal["kaiming", "default"] = "kaiming",
        image_size: int = 48,
        in_channels: int = 3,
        activation: str = "relu",
        dropout: float = 0.0,
    ):
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths {list(widths)} must be one or more positive numbers")
        kernels = [kernel_size] * len(widths) if isinstance(kernel_size, int) else [*kernel_size]
        if len(kernels) != len(widths) or any(k < 1 or k % 2 == 0 for k in kernels):
            raise ValueError(
                f"kernel_size {kernel_size} must be odd, one for all or for each width"
            )
        for name, value, choices in (
            ("order", order, ORDERS),
            ("downsampling", downsampling, ("stride", "max_pool")),
            ("conv_bias", conv_bias, ("auto", True, False)),
            ("head", head, tuple(POOLS)),
            ("init", init, ("kaiming", "default")),
        ):
            check_choice(name, value, choices)
        blocks: list[nn.Module] = []
        channels = in_channels
        for width, kernel in zip(widths, kernels, strict=True):
            norm = norm_layer(width)
            bias = needs_bias(norm) if conv_bias == "auto" else conv_bias
            stride = 2 if downsampling == "stride" else 1
            blocks.append(nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=bias))
            blocks += ordered(norm, make_activation(activation), order)
            if downsampling == "max_pool":
                blocks.append(nn.MaxPool2d(2, ceil_mode=True))
            channels = width
        self.features = nn.Sequential(*blocks)
        self.pool = POOLS[head]()
        side = math.ceil(image_size / 2 ** len(widths))
        values = channels * {"average": 1, "concat": 2, "flatten": side * side}[head]
        self.dropout = make_dropout(dropout)
        self.head = nn.Linear(values, num_classes)
        if init == "kaiming":
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(torch.flatten(self.pool(self.features(images)), 1)))
