"""Root mean square normalization: Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467"""

from torch import Tensor

from normbench.norms.channelwise import ChannelwiseLayer


class RMSNorm(ChannelwiseLayer):
    """Each sample is divided by the root of the mean square of all its values:

        y = weight[c] · x / √(mean of x² over (C, H, W) + eps)

    in training and evaluation alike. It is LayerNorm without centering and without a shift. The
    paper normalizes vectors, which for feature maps leaves open over what. Here it is over
    (C, H, W), as `LayerNorm` is, so that positions keep their contrasts. Over the channels at each
    position, as ConvNeXt's LayerNorm, is another layer: `timm.layers.RmsNorm2d`. In sequences
    (N, C, L) each position is normalized by itself, over C, and so are features (N, C), as
    torch.nn.RMSNorm does.

    x and y: (N, C), (N, C, L) or (N, C, H, W); weight: (C,).

    Args:
        num_channels: C.
        eps: added to the mean square.

    Raises:
        RuntimeError: if C is not `num_channels`.
    """

    shown = ("eps",)

    def __init__(self, num_channels: int, eps: float = 1e-5):
        super().__init__(num_channels, shift=False)
        self.eps = eps

    def normalize(self, x: Tensor) -> Tensor:
        over = 1 if x.dim() == 3 else (1, 2, 3)
        return x * (x.square().mean(over, keepdim=True) + self.eps).rsqrt()
