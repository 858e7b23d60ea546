"""Reparametrizations of weights, of convolutions and linear layers, for
torch.nn.utils.parametrize.

Weight standardization: Qiao et al. 2019, https://arxiv.org/abs/1903.10520
Scaled weight standardization: Brock, De & Smith 2021, https://arxiv.org/abs/2101.08692
Weight normalization: Salimans & Kingma 2016, https://arxiv.org/abs/1602.07868
Spectral normalization: Miyato et al. 2018, https://arxiv.org/abs/1802.05957

w is the parameter, ŵ what the layer uses: both (O, I, kh, kw) or, of a linear layer, (O, I), of the
same memory format. A filter w[o] is then a row. Those that keep something of each weight's shape
have a function that registers them on a layer, as torch.nn.utils.parametrizations' do.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

Weighted = nn.Conv2d | nn.Linear

RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))  # 1 / standard deviation of a normal number's ReLU


class WeightStandardization(nn.Module):
    """A parametrization of weights, for torch.nn.utils.parametrize: for each filter o,

        ŵ[o] = (w[o] - μ[o]) / √(σ²[o] + eps)

    with μ and σ² (biased) over (I, kh, kw), of a linear layer over I. The gradient flows through μ
    and σ². A filter of a single weight becomes 0.

    Args:
        eps: added to σ².
    """

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() != 4 or weight.is_contiguous():
            return F.layer_norm(weight, weight.shape[1:], eps=self.eps)
        # Channels_last is contiguous as (O, kh, kw, I), where nothing has to be copied.
        weight = weight.permute(0, 2, 3, 1)
        return F.layer_norm(weight, weight.shape[1:], eps=self.eps).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"eps={self.eps}"


class ScaledWeightStandardization(WeightStandardization):
    """Weight standardization that keeps the variance of what passes through, without any norm:

        ŵ[o] = gain[o] · gamma / √(I kh kw) · (w[o] - μ[o]) / √(σ²[o] + eps)

    gain (O, 1, 1, 1), of a linear layer (O, 1), is learned and starts at 1. The paper's networks,
    and NFNets, also scale their residual branches, and NFNets clip gradients; this is the weight
    alone.

    Args:
        weight: w.
        gamma: makes up for what the activation takes of the variance; the default for a ReLU.
        eps: added to σ².
    """

    def __init__(self, weight: Tensor, gamma: float = RELU_GAIN, eps: float = 1e-6):
        super().__init__(eps)
        self.gamma = gamma
        self.gain = nn.Parameter(torch.ones_like(_lengths(weight.detach())))

    def forward(self, weight: Tensor) -> Tensor:
        fan_in = weight[0].numel()
        return super().forward(weight) * (self.gain * (self.gamma / math.sqrt(fan_in)))

    def extra_repr(self) -> str:
        return f"gamma={self.gamma:.6g}, eps={self.eps}"


class WeightNorm(nn.Module):
    """Each filter's length is a parameter of its own, apart from its direction:

        ŵ[o] = g[o] · w[o] / ‖w[o]‖

    g (O, 1, 1, 1), of a linear layer (O, 1), is learned and starts at ‖w[o]‖, so that ŵ starts as
    w: the initialization from a first batch in the paper is no part of this. A filter of zeros
    stays one.

    torch's own makes ŵ contiguous whatever w is, and NaN of a filter of zeros.

    Args:
        weight: w.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        self.g = nn.Parameter(_lengths(weight.detach()))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (self.g / _lengths(weight).clamp_min(1e-12))


class SpectralNorm(_SpectralNorm):
    """w is divided by its largest singular value, as a matrix (O, I kh kw) or (O, I):

        ŵ = w / (uᵀ w v)

    with u and v from a step of power iteration in every training forward; they start after 15 such
    steps, and are constants to the gradient. This is the parametrization of
    torch.nn.utils.parametrizations.spectral_norm, except that autocast is kept from it: on CUDA it
    would multiply by w in half precision.

    Args:
        weight: w.
        n_power_iterations: steps in a training forward.
        eps: least length of u and v.

    Raises:
        ValueError: for less than 1 step.
    """

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, eps: float = 1e-12):
        super().__init__(weight, n_power_iterations, eps=eps)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def scaled_weight_standardization(
    module: Weighted, gamma: float = RELU_GAIN, eps: float = 1e-6
) -> nn.Module:
    """Register `ScaledWeightStandardization` on the weight of a layer, in place."""
    made = ScaledWeightStandardization(module.weight, gamma, eps)
    return register_parametrization(module, "weight", made)


def weight_norm(module: Weighted) -> nn.Module:
    """Register `WeightNorm` on the weight of a layer, in place."""
    return register_parametrization(module, "weight", WeightNorm(module.weight))


def spectral_norm(module: Weighted, n_power_iterations: int = 1, eps: float = 1e-12) -> nn.Module:
    """Register `SpectralNorm` on the weight of a layer, in place."""
    made = SpectralNorm(module.weight, n_power_iterations, eps)
    return register_parametrization(module, "weight", made)


def _lengths(weight: Tensor) -> Tensor:
    """(O, I, kh, kw) -> (O, 1, 1, 1); (O, I) -> (O, 1)."""
    return torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())), keepdim=True)
