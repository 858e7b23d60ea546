"""The article's "small 4 layer convolutional network"; widths, head and initialization inferred."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class CNN4(nn.Module):
    """Stride-2 convolutions, each followed by a norm and a ReLU, then a linear head.

    Args:
        norm_layer: number of channels -> layer, as in torchvision's models.
        num_classes: width of the output.
        widths: output channels of each convolution.
        kernel_size: an odd number of pixels.
        conv_bias: whether convolutions have a bias; ``auto``: where the norm has no parameters.
        head: ``average`` pools each channel to one number, ``flatten`` keeps every position.
        init: ``kaiming`` (He et al. 2015: normal, fan in, biases 0) or PyTorch's ``default``.
        image_size: side of the images in pixels; only ``flatten`` needs it, for the head's width.

    Shapes: images (N, 3, H, W) -> logits (N, num_classes).

    Raises:
        ValueError: for an unknown choice.
    """

    def __init__(
        self,
        norm_layer: Callable[[int], nn.Module],
        num_classes: int = 10,
        widths: Sequence[int] = (16, 32, 64, 128),
        kernel_size: int = 3,
        conv_bias: bool | Literal["auto"] = "auto",
        head: Literal["average", "flatten"] = "average",
        init: Literal["kaiming", "default"] = "kaiming",
        image_size: int = 64,
    ):
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"widths {list(widths)} must be one or more positive numbers")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {kernel_size} must be odd")
        if conv_bias not in ("auto", True, False):
            raise ValueError(f"conv_bias {conv_bias!r} must be auto, true or false")
        if init not in ("kaiming", "default"):
            raise ValueError(f"init {init!r} must be kaiming or default")
        blocks: list[nn.Module] = []
        channels = 3
        for width in widths:
            norm = norm_layer(width)
            bias = not any(True for _ in norm.parameters()) if conv_bias == "auto" else conv_bias
            conv = nn.Conv2d(
                channels, width, kernel_size, stride=2, padding=kernel_size // 2, bias=bias
            )
            blocks += [conv, norm, nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*blocks)
        if head == "average":
            self.pool: nn.Module = nn.AdaptiveAvgPool2d(1)
            positions = 1
        elif head == "flatten":
            self.pool = nn.Identity()
            side = image_size
            for _ in widths:
                side = (side + 1) // 2
            positions = side * side
        else:
            raise ValueError(f"head {head!r} must be average or flatten")
        self.head = nn.Linear(channels * positions, num_classes)
        if init == "kaiming":
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.features(images)), 1))
