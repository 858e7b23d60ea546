"""What a normalization choice is made of."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from normbench.norms.clip import AdaptiveGradientClipping

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Sigmoid, nn.Tanh,
)  # fmt: skip


def weighted_layers(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """The layers whose weights norms are about, by name: the convolutions, or in a network without
    any the linear layers but the last, which makes the logits."""
    found: dict[str, nn.Conv2d | nn.Linear] = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }
    if not found:
        found = {n: module for n, module in model.named_modules() if isinstance(module, nn.Linear)}
        if found:
            found.popitem()
    return found


@dataclass(frozen=True)
class Norm:
    """A normalization choice: a layer and, for some, what has to go with it.

    Attributes:
        layer: takes the number of channels and makes the layer, as torchvision's `norm_layer` does.
        weight: makes the module that computes a layer's weight from its parameter; or, if it is a
            function and no class, takes a layer and reparametrizes it in place, as those of
            torch.nn.utils.parametrizations do.
        activation: makes the activation that the norm is meant to be used with; an nn.Identity
            where the layer is one itself.
        init: takes the model and initializes its parameters, in place.
        convolution: takes a convolution and makes the layer that takes its place.
        clip: takes the model and makes what clips its gradients, between backward and the
            optimizer's step.
    """

    layer: Callable[[int], nn.Module]
    weight: Callable[..., nn.Module] | None = None
    activation: Callable[[], nn.Module] | None = None
    init: Callable[[nn.Module], object] | None = None
    convolution: Callable[[nn.Conv2d], nn.Module] | None = None
    clip: Callable[[nn.Module], AdaptiveGradientClipping] | None = None

    def replace_activations(self, model: nn.Module, layers: Collection[nn.Module]) -> int:
        """Put an `activation` in the place of every one that belongs to a norm, in place.

        That is one which a module has beside a norm, as its own child. So a block's ReLU goes, and
        those of an attention or a classifier without norms stay.

        Args:
            layers: the norm layers that are in the model.

        Returns:
            How many there were.
        """
        if self.activation is None:
            return 0
        inside = {part for layer in layers for part in layer.modules()}
        paths = [
            path
            for path, module in model.named_modules(remove_duplicate=False)
            if isinstance(module, ACTIVATIONS) and module not in inside
            if not inside.isdisjoint(model.get_submodule(path.rpartition(".")[0]).children())
        ]
        for path in paths:
            model.set_submodule(path, self.activation())
        return len(paths)

    def initialize(self, model: nn.Module) -> None:
        """Have `init` initialize the model, in place."""
        if self.init is not None:
            self.init(model)

    def replace_convolutions(self, model: nn.Module) -> None:
        """Put a `convolution` in the place of every nn.Conv2d of the model, in place.

        Raises:
            ValueError: for a model without one.
        """
        if self.convolution is None:
            return
        if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
            raise ValueError(
                "the norm replaces convolutions, and the network has none: choose another norm"
            )
        for path, module in list(model.named_modules(remove_duplicate=False)):
            if isinstance(module, nn.Conv2d):
                model.set_submodule(path, self.convolution(module))

    def reparametrize(self, model: nn.Module) -> None:
        """Put `weight` on the weight of each of the `weighted_layers` of the model, in place.

        Raises:
            ValueError: for a model without any.
            TypeError: if it is a function that does not reparametrize.
        """
        if self.weight is None:
            return
        makes_modules = isinstance(getattr(self.weight, "func", self.weight), type)
        layers = weighted_layers(model)
        if not layers:
            raise ValueError(
                "the norm changes weights of convolutions, or of linear layers before the last, "
                "and the network has neither: choose another norm"
            )
        for module in layers.values():
            if makes_modules:
                register_parametrization(module, "weight", self.weight())
                continue
            self.weight(module)
            if not is_parametrized(module, "weight"):
                raise TypeError(f"{self.weight} has not reparametrized the layer it was given")
