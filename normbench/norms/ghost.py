"""Ghost batch normalization: Hoffer, Hubara & Soudry 2017, https://arxiv.org/abs/1705.08741"""

import torch
from torch import Tensor

from normbench.norms.batch import BatchNorm


class GhostBatchNorm(BatchNorm):
    """BatchNorm of parts of the batch, each by its own statistics.

    In training, samples are taken `size` at a time, in their order; the last part has what is left.
    Parts enter the running averages one after another, with the momentum of a batch. A batch of
    `size` samples or less is normalized as BatchNorm does, and so is evaluation. This is also what
    BatchNorm on several devices computes that does not synchronize its statistics.

    x and y: as BatchNorm's.

    Args:
        num_channels: C.
        size: samples in a part, which the paper calls a ghost batch.
        eps, momentum: BatchNorm's.

    Raises:
        ValueError: for a `size` below 1, or if x has neither 2, 3 nor 4 dimensions.
        RuntimeError: if C is not `num_channels`.
    """

    def __init__(self, num_channels: int, size: int = 16, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__(num_channels, eps, momentum)
        if size < 1:
            raise ValueError(f"{size=} must be at least 1")
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        return torch.cat([super(GhostBatchNorm, self).forward(part) for part in x.split(self.size)])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, size={self.size}"
