"""Fully connected layers, with a norm each: Ioffe & Szegedy 2015, section 4.1,
https://arxiv.org/abs/1502.03167"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normbench.models.parts import (
    Init,
    NormLayer,
    Order,
    initialize,
    make_activation,
    make_dropout,
    needs_bias,
    ordered,
)


class MLP(nn.Module):
    """Linear layers on the pixels, each with a norm and an activation, then a linear head.

    The paper's has three hidden layers of 100 sigmoid units, the norm before the sigmoid, and
    weights from a narrow normal distribution, whose width it does not say.

    Args:
        norm_layer: number of features -> layer.
        num_classes: width of the output.
        widths: of the hidden layers; none: softmax regression, which has no norm.
        activation: relu, sigmoid, tanh, selu or gelu.
        order: whether the norm stands before the activation (``norm_relu``) or after it
            (``relu_norm``).
        dropout: share of the head's inputs that training drops.
        init, init_scale: see ``parts.initialize``.
        image_size: side of the images in pixels.
        in_channels: of the images.

    Shapes: images (N, in_channels, image_size, image_size) -> logits (N, num_classes); norms see
    (N, width).

    Raises:
        ValueError: for an unknown choice.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        widths: Sequence[int] = (128, 128, 128),
        activation: str = "sigmoid",
        order: Order = "norm_relu",
        dropout: float = 0.0,
        init: Init = "gaussian",
        init_scale: float = 0.1,
        image_size: int = 28,
        in_channels: int = 3,
    ):
        super().__init__()
        if any(width < 1 for width in widths):
            raise ValueError(f"widths {list(widths)} must be positive numbers")
        blocks: list[nn.Module] = []
        features = in_channels * image_size * image_size
        for width in widths:
            norm = norm_layer(width)
            blocks.append(nn.Linear(features, width, bias=needs_bias(norm)))
            blocks += ordered(norm, make_activation(activation), order)
            features = width
        self.features = nn.Sequential(*blocks)
        self.dropout = make_dropout(dropout)
        self.head = nn.Linear(features, num_classes)
        initialize(self, init, init_scale)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(torch.flatten(images, 1))))
