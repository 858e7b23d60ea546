"""Functions of each value by itself that take a norm's place, without any statistics.

Dynamic tanh: Zhu et al. 2025, https://arxiv.org/abs/2503.10622
Dynamic erf: Chen et al. 2025, https://arxiv.org/abs/2512.10938

x and y: (N, C), (N, C, L) or (N, C, H, W); weight and bias: (C,); all other parameters are one
number for all channels.
"""

import torch
from torch import Tensor, nn

from normbench.norms.channelwise import ChannelwiseLayer


class DyT(ChannelwiseLayer):
    """y = weight[c] · tanh(alpha · x) + bias[c]

    Args:
        num_channels: C.
        alpha: where the learned alpha starts.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, alpha: float = 0.5):
        super().__init__(num_channels)
        self.alpha = nn.Parameter(torch.full((1,), float(alpha)))

    def normalize(self, x: Tensor) -> Tensor:
        return (self.alpha * x).tanh()


class Derf(ChannelwiseLayer):
    """y = weight[c] · erf(alpha · x + shift) + bias[c]

    Args:
        num_channels: C.
        alpha: where the learned alpha starts; the learned shift starts at 0.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, alpha: float = 0.5):
        super().__init__(num_channels)
        self.alpha = nn.Parameter(torch.full((1,), float(alpha)))
        self.shift = nn.Parameter(torch.zeros(1))

    def normalize(self, x: Tensor) -> Tensor:
        return (self.alpha * x + self.shift).erf()
