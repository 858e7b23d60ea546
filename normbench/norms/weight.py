"""Weight standardization: Qiao et al. 2019, https://arxiv.org/abs/1903.10520"""

import torch.nn.functional as F
from torch import Tensor, nn


class WeightStandardization(nn.Module):
    """A parametrization of convolution weights, for torch.nn.utils.parametrize: for each filter o,

        ŵ[o] = (w[o] - μ[o]) / √(σ²[o] + eps)

    with μ and σ² (biased) over (I, kh, kw). w and ŵ: (O, I, kh, kw), of the same memory format.
    The gradient flows through μ and σ². A filter of a single weight becomes 0.

    Args:
        eps: added to σ².
    """

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, weight: Tensor) -> Tensor:
        if weight.is_contiguous():
            return F.layer_norm(weight, weight.shape[1:], eps=self.eps)
        # Channels_last is contiguous as (O, kh, kw, I), where nothing has to be copied.
        weight = weight.permute(0, 2, 3, 1)
        return F.layer_norm(weight, weight.shape[1:], eps=self.eps).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"
