"""A small vision transformer: Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.models.parts import NormLayer, make_activation, make_dropout

STD = 0.02  # of weights and of positions' embeddings, as the paper's and timm's


class TransformerBlock(nn.Module):
    """Self-attention and two linear layers, each behind a norm and beside a shortcut.

    x and y: tokens (N, L, C); norms see sequences (N, C, L).
    """

    def __init__(self, norm_layer: NormLayer, width: int, heads: int, hidden: int, activation: str):
        super().__init__()
        self.heads = heads
        self.norm1 = norm_layer(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = norm_layer(width)
        self.linear1 = nn.Linear(width, hidden)
        self.activation = make_activation(activation)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attention(self.norm1(x.mT).mT)
        return x + self.linear2(self.activation(self.linear1(self.norm2(x.mT).mT)))

    def _attention(self, x: Tensor) -> Tensor:
        # (N, L, 3 C) -> three of (N, heads, L, C / heads)
        q, k, v = self.to_qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.projection(y.transpose(1, 2).flatten(2))


class ViT(nn.Module):
    """Patches as tokens, blocks of self-attention, the mean of the tokens, a linear head.

    Norms stand before attention and before the two linear layers of each block, and after the last
    block, as in the paper. A norm that brings an activation has it in the place of a block's GELU.

    Args:
        norm_layer: number of features -> layer.
        num_classes: width of the output.
        patch: side of a patch in pixels; it divides the image's.
        width: of a token.
        depth: how many blocks.
        heads: of the attention; they divide the width.
        hidden: width between the two linear layers of a block.
        activation: between them: relu, sigmoid, tanh, selu or gelu.
        dropout: share of the head's inputs that training drops.
        image_size: side of the images in pixels.
        in_channels: of the images.

    Shapes: images (N, in_channels, image_size, image_size) -> logits (N, num_classes); norms see
    (N, width, L), L patches.

    Raises:
        ValueError: for sizes that do not divide each other, or an unknown activation.
    """

    def __init__(
        self,
        norm_layer: NormLayer,
        num_classes: int = 10,
        patch: int = 4,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        hidden: int = 128,
        activation: str = "gelu",
        dropout: float = 0.0,
        image_size: int = 32,
        in_channels: int = 3,
    ):
        super().__init__()
        if patch < 1 or image_size % patch:
            raise ValueError(f"patch {patch} does not divide the image's {image_size} pixels")
        if heads < 1 or width < 1 or width % heads:
            raise ValueError(f"heads {heads} do not divide the width {width}")
        if depth < 1 or hidden < 1:
            raise ValueError(f"depth {depth} and hidden {hidden} must be at least 1")
        self.patch = patch
        self.embedding = nn.Linear(in_channels * patch * patch, width)
        self.positions = nn.Parameter(torch.empty((image_size // patch) ** 2, width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(norm_layer, width, heads, hidden, activation) for _ in range(depth))
        )
        self.norm = norm_layer(width)
        self.dropout = make_dropout(dropout)
        self.head = nn.Linear(width, num_classes)
        nn.init.normal_(self.positions, std=STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=STD)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        # not a convolution with a stride, so that norms act on linear layers here
        patches = F.pixel_unshuffle(images, self.patch).flatten(2).mT  # (N, L, values)
        tokens = self.blocks(self.embedding(patches) + self.positions)
        return self.head(self.dropout(self.norm(tokens.mT).mean(2)))
