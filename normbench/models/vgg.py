"""VGG for small images: Simonyan & Zisserman 2014, https://arxiv.org/abs/1409.1556"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normbench.models.parts import (
    Init,
    NormLayer,
    Order,
    check_choice,
    initialize,
    make_activation,
    make_dropout,
    needs_bias,
    ordered,
)

# Table 1 of the paper: how many convolutions each of the five blocks has.
CONVOLUTIONS = {
    "A": (1, 1, 2, 2, 2),
    "B": (2, 2, 2, 2, 2),
    "C": (2, 2, 3, 3, 3),  # the last of a block of three is 1 x 1
    "D": (2, 2, 3, 3, 3),
    "E": (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)
DIVISOR = 8  # of every width, so that channels can be grouped


class VGG(nn.Module):
    """Five blocks of convolutions, each with a norm and an activation; a block ends in pooling.

    As is usual for images of 32 pixels, where the last pooling leaves a single position, the
    paper's three fully connected layers are one, behind an average over the positions that larger
    images leave.

    Args:
        norm_layer: number of channels -> layer.
        num_classes: width of the output.
        variant: the paper's A (8 convolutions), B (10), C and D (13) or E (16).
        width: factor on the numbers of channels, 64 to 512, which become multiples of 8.
        activation: relu, sigmoid, tanh, selu or gelu.
        order: whether the norm stands before the activation (``norm_relu``) or after it
            (``relu_norm``).
        dropout: share of the head's inputs that training drops.
        init, init_scale: see ``parts.initialize``.
        in_channels: of the images.

    Shapes: images (N, in_channels, H, W) -> logits (N, num_classes).

    Raises:
        ValueError: for an unknown choice.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        variant: str = "D",
        width: float = 1.0,
        activation: str = "relu",
        order: Order = "norm_relu",
        dropout: float = 0.0,
        init: Init = "kaiming",
        init_scale: float = 1.0,
        in_channels: int = 3,
    ):
        super().__init__()
        check_choice("variant", variant, CONVOLUTIONS)
        if not width > 0:
            raise ValueError(f"width {width} is not valid: give a factor above 0")
        layers: list[nn.Module] = []
        channels = in_channels
        for full_width, count in zip(WIDTHS, CONVOLUTIONS[variant], strict=True):
            own = max(1, round(full_width * width / DIVISOR)) * DIVISOR
            for i in range(count):
                kernel = 1 if variant == "C" and i == 2 else 3
                norm = norm_layer(own)
                bias = needs_bias(norm)
                layers.append(nn.Conv2d(channels, own, kernel, padding=kernel // 2, bias=bias))
                layers += ordered(norm, make_activation(activation), order)
                channels = own
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = make_dropout(dropout)
        self.head = nn.Linear(channels, num_classes)
        initialize(self, init, init_scale)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(torch.flatten(self.pool(self.features(images)), 1)))
