"""A deep linear network: Santurkar et al. 2018, section 2.2, https://arxiv.org/abs/1805.11604"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normbench.models.parts import Init, NormLayer, initialize, needs_bias


class DeepLinear(nn.Module):
    """Linear layers on the pixels, all but the last with a norm, and no activation at all.

    What it computes without norms is linear in the images, but in its parameters it is of degree
    ``depth``, so that its layers depend on each other as those of any deep network do.

    Args:
        norm_layer: number of features -> layer.
        num_classes: width of the output.
        depth: how many linear layers, the head among them.
        width: of all but the head.
        init, init_scale: see ``parts.initialize``; ``lecun`` keeps the variance from layer to
            layer.
        image_size: side of the images in pixels.
        in_channels: of the images.

    Shapes: images (N, in_channels, image_size, image_size) -> logits (N, num_classes); norms see
    (N, width).

    Raises:
        ValueError: for less than 2 layers, or an unknown init.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        depth: int = 25,
        width: int = 64,
        init: Init = "lecun",
        init_scale: float = 1.0,
        image_size: int = 28,
        in_channels: int = 3,
    ):
        super().__init__()
        if depth < 2 or width < 1:
            raise ValueError(f"depth {depth} must be at least 2, and width {width} at least 1")
        layers: list[nn.Module] = []
        features = in_channels * image_size * image_size
        for _ in range(depth - 1):
            norm = norm_layer(width)
            layers += [nn.Linear(features, width, bias=needs_bias(norm)), norm]
            features = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(features, num_classes)
        initialize(self, init, init_scale)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(torch.flatten(images, 1)))
