"""What models share: activations by name, where a norm stands, how weights start."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from torch import nn

NormLayer = Callable[[int], nn.Module]
Order = Literal["relu_norm", "norm_relu"]
Init = Literal["kaiming", "lecun", "gaussian", "default"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "selu": nn.SELU,
    "gelu": nn.GELU,
}
ORDERS = ("relu_norm", "norm_relu")
INITS = ("kaiming", "lecun", "gaussian", "default")


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ValueError for a setting that is none of its choices."""
    if value not in choices:
        known = ", ".join(
            str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices
        )
        raise ValueError(f"{name} {value!r} is not known: choose {known}")


def check_dropout(dropout: float) -> None:
    """Raise ValueError unless it is a share that leaves something."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout} is not valid: give a share from 0 to below 1")


def make_dropout(dropout: float) -> nn.Module:
    """What drops a share of the values in training; nothing at all for 0.

    Raises:
        ValueError: for a share that leaves nothing.
    """
    check_dropout(dropout)
    return nn.Dropout(dropout) if dropout else nn.Identity()


def make_activation(name: str) -> nn.Module:
    """A new one.

    Raises:
        ValueError: for an unknown name.
    """
    check_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def ordered(norm: nn.Module, activation: nn.Module, order: str) -> list[nn.Module]:
    """A norm and an activation in the order that ``model.order`` names; its ``relu`` is the
    activation, whichever it is.

    Raises:
        ValueError: for an unknown order.
    """
    check_choice("order", order, ORDERS)
    return [norm, activation] if order == "norm_relu" else [activation, norm]


def needs_bias(norm: nn.Module) -> bool:
    """Whether the layer before a norm has to have a bias, as the norm has no parameters."""
    return not any(True for _ in norm.parameters())


def initialize(model: nn.Module, init: str, scale: float = 1.0) -> None:
    """Draw the weights of all convolutions and linear layers, in place.

    Args:
        init: ``kaiming``: normal with variance 2 / fan in (He et al. 2015), ``lecun``: 1 / fan in,
            ``gaussian``: 1; biases are 0. ``default``: as torch has made them, biases too.
        scale: of the weights, whatever the init: ``gaussian`` has it for standard deviation.

    Raises:
        ValueError: for an unknown init, or a scale that is not above 0.
    """
    check_choice("init", init, INITS)
    if not scale > 0:
        raise ValueError(f"init_scale {scale} is not valid: give a number above 0")
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if init == "gaussian":
            nn.init.normal_(module.weight)
        elif init == "kaiming":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif init == "lecun":
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if init != "default" and module.bias is not None:
            nn.init.zeros_(module.bias)
        if scale != 1:
            module.weight.data.mul_(scale)
