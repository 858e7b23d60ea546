"""Filter response normalization: Singh & Krishnan 2020, https://arxiv.org/abs/1911.09737"""

import torch
from torch import Tensor, nn

from normbench.norms.channelwise import ChannelwiseLayer, over_positions, per_channel

LEAST_EPS = 1e-6  # of a learned one, whatever is learned


class FilterResponseNorm(ChannelwiseLayer):
    """Each channel of each sample is divided by the root of its mean square; then a thresholded
    linear unit (TLU), which is the activation:

        y = max(weight[c] · x / √(mean of x² over (H, W) + eps) + bias[c], threshold[c])

    in training and evaluation alike. It takes the place of a norm and of its ReLU. The threshold is
    learned, as nothing is centered and 0 would be no place to cut at; it starts at 0. On maps of a
    single value y is its sign, unless eps is learned: one number for all channels,
    1e-6 and the absolute value of what is learned. The paper warms the learning rate up.

    timm's FilterResponseNormTlu2d squares fp16 in fp16, which overflows from 256 on.

    x and y: (N, C), (N, C, L), where the mean is over L, or (N, C, H, W); weight, bias and
    threshold: (C,). Features (N, C) are maps of a single value.

    Args:
        num_channels: C.
        eps: added to the mean square.
        learned_eps: whether eps is learned, starting at `eps`; the paper starts it at 1e-4.

    Raises:
        ValueError: for a learned eps that starts below 1e-6.
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("eps", "learned_eps")

    def __init__(self, num_channels: int, eps: float = 1e-6, learned_eps: bool = False):
        super().__init__(num_channels)
        if learned_eps and eps < LEAST_EPS:
            raise ValueError(f"{eps=} must be at least {LEAST_EPS} where it is learned")
        self.eps, self.learned_eps = eps, learned_eps
        self.threshold = nn.Parameter(torch.zeros(num_channels))
        if learned_eps:
            self.more_eps = nn.Parameter(torch.full((1,), eps - LEAST_EPS))

    def normalize(self, x: Tensor) -> Tensor:
        eps = LEAST_EPS + self.more_eps.abs() if self.learned_eps else self.eps
        return x * (x.square().mean(over_positions(x), keepdim=True) + eps).rsqrt()

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(super().forward(x), per_channel(self.threshold, x).to(x.dtype))
