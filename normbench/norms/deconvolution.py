"""Network deconvolution: Ye et al. 2020, https://arxiv.org/abs/1905.11926"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Deconvolution(nn.Conv2d):
    """A convolution whose input is whitened, over channels and over the positions in its kernel:

        y = Σ_g w[:, g] · D (x[g] - μ) + bias,        D = (Cov + eps · I)^(-1/2)

    x[g] is a patch (B kh kw) of the g-th block of B consecutive channels, and μ and Cov are mean
    and covariance of all patches of the batch, whatever their block. Neighbouring pixels have much
    in common, which norms leave as it is, and this takes away; no norm is needed besides. D comes
    from Newton-Schulz iterations, which stop before it is exact; the gradient flows through them.
    It is multiplied with the weight, not with the patches.

    In evaluation μ and D are running averages, which start at 0 and I. The paper also whitens the
    inputs of linear layers; this is for convolutions alone.

    x: (N, C, H, W), y: (N, O, H', W'), as the convolution's.

    Args:
        convolution: what it takes the place of: its weight and bias are taken over, and where it
            has no bias, one is made.
        block: B at most; it is made to divide the channels.
        iterations: how many, of Newton and Schulz.
        sampling_stride: patches are taken at every so many of the outputs' positions, in both
            directions.
        eps: added to the diagonal of Cov.
        momentum: of the running averages.

    Raises:
        ValueError: for a convolution that does not pad with a number of zeros.
    """

    padding: tuple[int, ...]
    bias: Tensor
    running_mean: Tensor  # (B kh kw,)
    running_whitening: Tensor  # (B kh kw, B kh kw)

    def __init__(
        self,
        convolution: nn.Conv2d,
        block: int = 64,
        iterations: int = 5,
        sampling_stride: int = 3,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ):
        if isinstance(convolution.padding, str) or convolution.padding_mode != "zeros":
            raise ValueError(f"{convolution}: deconvolution is for a padding by a number of zeros")
        if min(block, iterations, sampling_stride) < 1:
            raise ValueError(f"{block=}, {iterations=} and {sampling_stride=} must be at least 1")
        own = {
            name: getattr(convolution, name)
            for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding",
                         "dilation", "groups")
        }  # fmt: skip
        super().__init__(**own, device="meta")  # parameters that are never made
        weight, bias = convolution.weight, convolution.bias
        self.weight = weight
        self.bias = nn.Parameter(weight.new_zeros(self.out_channels)) if bias is None else bias
        self.block = math.gcd(block, weight.shape[1])
        self.iterations, self.sampling_stride = iterations, sampling_stride
        self.eps, self.momentum = eps, momentum
        values = self.block * math.prod(self.kernel_size)
        self.register_buffer("running_mean", weight.new_zeros(values))
        self.register_buffer("running_whitening", torch.eye(values).to(weight))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            mean, whitening = self.running_mean, self.running_whitening
            if self.training:
                mean, whitening = self._statistics(x.to(self.weight.dtype))
            weight = self.weight.reshape(self.out_channels, -1, len(mean)) @ whitening
            bias = self.bias - (weight @ mean).sum(1)
            weight = weight.view(self.weight.shape)
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """μ and D of a batch; the running averages move towards them."""
        stride = tuple(step * self.sampling_stride for step in self.stride)
        patches = F.unfold(x, self.kernel_size, self.dilation, self.padding, stride)
        # (N, C kh kw, positions) -> (B kh kw, values)
        patches = patches.unflatten(1, (-1, len(self.running_mean))).permute(2, 0, 1, 3).flatten(1)
        mean = patches.mean(1)
        patches = patches - mean[:, None]
        covariance = patches @ patches.T / patches.shape[1]
        whitening = inverse_root(covariance + self.eps * _identity(covariance), self.iterations)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_whitening.lerp_(whitening, self.momentum)
        return mean, whitening

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, block={self.block}, iterations={self.iterations}, "
            f"sampling_stride={self.sampling_stride}, eps={self.eps}, momentum={self.momentum}"
        )


def inverse_root(matrix: Tensor, iterations: int) -> Tensor:
    """About A^(-1/2) of a positive definite A (n, n), by coupled Newton-Schulz iterations:

    Y₀ = A / ‖A‖, Z₀ = I, T = (3 I - Z Y) / 2, Y ← Y T, Z ← T Z, and Z / √‖A‖ in the end.
    """
    size = torch.linalg.matrix_norm(matrix)
    identity = _identity(matrix)
    y, z = matrix / size, identity
    for _ in range(iterations):
        t = 1.5 * identity - 0.5 * (z @ y)
        y, z = y @ t, t @ z
    return z / size.sqrt()


def _identity(like: Tensor) -> Tensor:
    return torch.eye(len(like), dtype=like.dtype, device=like.device)
