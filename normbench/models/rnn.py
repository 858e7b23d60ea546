"""A recurrent network that reads an image row by row, with its pre-activations normalized.

Layer normalization in it: Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450
Batch normalization in it: Cooijmans et al. 2016, https://arxiv.org/abs/1603.09025
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from normbench.models.parts import (
    Init,
    NormLayer,
    initialize,
    make_activation,
    make_dropout,
    needs_bias,
)


class RowRNN(nn.Module):
    """With x[t] the pixels of row t and h[-1] = 0,

        h[t] = activation(norm[t](W x[t] + U h[t-1])),      logits = head(h[last])

    which is Ba et al.'s form (their equation 4): one norm on the sum, whose shift is the bias.
    Cooijmans et al. normalize the two summands apart. As theirs do, norms have statistics of their
    own at each row but one scale and shift for all; where there are no statistics of batches, as in
    LayerNorm, that is the same as a single layer.

    Args:
        norm_layer: number of features -> layer.
        num_classes: width of the output.
        width: of h.
        activation: relu, sigmoid, tanh, selu or gelu.
        norm_scale: what the norms' scales start at; Cooijmans et al. advise 0.1 for BatchNorm
            before a tanh, whose gradient would vanish else.
        dropout: share of the head's inputs that training drops.
        init, init_scale: see ``parts.initialize``.
        image_size: side of the images in pixels: how many rows there are, and how wide.
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
        width: int = 128,
        activation: str = "tanh",
        norm_scale: float = 1.0,
        dropout: float = 0.0,
        init: Init = "default",
        init_scale: float = 1.0,
        image_size: int = 28,
        in_channels: int = 3,
    ):
        super().__init__()
        if width < 1:
            raise ValueError(f"width {width} must be at least 1")
        self.rows = image_size
        norms = [norm_layer(width) for _ in range(image_size)]
        bias = needs_bias(norms[0])
        self.input = nn.Linear(in_channels * image_size, width, bias=bias)
        self.recurrent = nn.Linear(width, width, bias=False)
        for row, norm in enumerate(norms):
            self.add_module(f"norm{row}", norm)
        self.activation = make_activation(activation)
        self.dropout = make_dropout(dropout)
        self.head = nn.Linear(width, num_classes)
        initialize(self, init, init_scale)
        if isinstance(scale := getattr(norms[0], "weight", None), nn.Parameter):
            nn.init.constant_(scale, norm_scale)
        _share_parameters(norms)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.permute(2, 0, 1, 3).flatten(2)  # (rows, N, values)
        from_rows = self.input(rows)
        weight = self.recurrent.weight  # of a reparametrized one, computed once
        h = self._step(0, from_rows[0])
        for row in range(1, self.rows):
            h = self._step(row, from_rows[row] + F.linear(h, weight))
        return self.head(self.dropout(h))

    def _step(self, row: int, x: Tensor) -> Tensor:
        """(N, width) -> (N, width)."""
        h: Tensor = self.activation(self.get_submodule(f"norm{row}")(x))
        return h


def _share_parameters(layers: Sequence[nn.Module]) -> None:
    """Have all layers, which are alike, use the parameters of the first."""
    first = list(layers[0].modules())
    for layer in layers[1:]:
        for own, module in zip(first, layer.modules(), strict=True):
            for name, p in own.named_parameters(recurse=False):
                setattr(module, name, p)
