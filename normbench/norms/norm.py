"""What a normalization choice is made of."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrize import register_parametrization


@dataclass(frozen=True)
class Norm:
    """A normalization choice: an activation layer, and for some a reparametrization of the weights.

    Attributes:
        layer: takes the number of channels and makes the layer, as torchvision's `norm_layer` does.
        weight: makes the module that computes a convolution's weight from its parameter.
    """

    layer: Callable[[int], nn.Module]
    weight: Callable[[], nn.Module] | None = None

    def reparametrize(self, model: nn.Module) -> None:
        """Register a `weight` module on the weight of every nn.Conv2d of the model, in place."""
        if self.weight is None:
            return
        for module in list(model.modules()):  # a list, as registering adds modules
            if isinstance(module, nn.Conv2d):
                register_parametrization(module, "weight", self.weight())
