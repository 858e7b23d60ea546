"""A network from the names, or the configs, of a model and a norm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from normbench.errors import UserError
from normbench.explain import first_line
from normbench.instantiate import instantiate
from normbench.norms import Norm
from normbench.places import config_names, read_config

Choice = str | type[nn.Module] | Mapping[str, Any]  # of a norm: a config, its name, or a class

NORM_LAYERS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm)


@dataclass(frozen=True)
class NormLayers:
    """What stands where norms do in a network.

    Attributes:
        found: the layers of the norm that was asked for.
        others: norm layers that are none of these.
    """

    found: list[nn.Module]
    others: list[nn.Module]


def build_model(
    model: str | Mapping[str, Any],
    norm: Choice = "batchnorm",
    num_classes: int = 10,
    in_channels: int = 3,
) -> nn.Module:
    """A network with a norm in it, freshly initialized from torch's global random state.

    Args:
        model: the name of a model config, such as ``"resnet18"``, or such a config.
        norm: the name of a norm config, such as ``"groupnorm"``, such a config, or a class whose
            first argument is the number of channels.
        num_classes: width of the output.
        in_channels: of the images; a model is told of it, by an argument of that name, only where
            it is not 3.

    Raises:
        UserError: for an unknown name, settings that the model or the norm refuses, or a model that
            has no place for the norm, or takes no images of so many channels.
    """
    return build(model, norm, num_classes, in_channels)[0]


def build(
    model: str | Mapping[str, Any], norm: Choice, num_classes: int, in_channels: int = 3
) -> tuple[nn.Module, NormLayers]:
    """``build_model``, and the norm layers that are in the network."""
    what = f"model={_name(model)} with norm={_name(norm)}"
    settings = _named("model", model)
    chosen = _norm(what, norm)
    maker = LayerMaker(chosen.layer)
    own = {key: value for key, value in settings.items() if key != "name"}
    given = {"norm_layer": maker, **_channels(_name(model), own, in_channels)}
    network = instantiate(what, own, **given, num_classes=num_classes)
    if not isinstance(network, nn.Module):
        raise UserError(f"{what}: the model is a {type(network).__name__}, no torch.nn.Module")
    layers = _norm_layers(network, maker.take())
    if not layers.found:
        there = f"{len(layers.others)} of its own" if layers.others else "no norm at all"
        raise UserError(
            f"{what}: the network that was built has {there} and none of {_name(norm)}: choose a "
            "model that makes its norms with its argument norm_layer"
        )
    _adapt(what, network, chosen, layers.found)
    return network, layers


def _channels(name: str, settings: Mapping[str, Any], in_channels: int) -> dict[str, int]:
    """What a model is told of its images' channels.

    Raises:
        UserError: for one that cannot be told that there are not 3.
    """
    if in_channels == 3:
        return {}
    made = instantiate(f"model={name}", {"_target_": settings["_target_"], "_partial_": True})
    if "in_channels" not in inspect.signature(made).parameters:
        raise UserError(
            f"model={name} takes images of 3 channels, and these have {in_channels}: give three "
            "numbers each as data.mean and data.std, which makes colours of grey, or choose a "
            "model with an argument in_channels"
        )
    return {"in_channels": in_channels}


class LayerMaker:
    """Makes the layers of a norm, as torchvision's ``norm_layer`` does, and remembers them.

    It has the name of what it makes, which some models look at.
    """

    def __init__(self, layer: Callable[..., nn.Module]):
        self.layer, self.made = layer, list[nn.Module]()
        self.__name__ = getattr(getattr(layer, "func", layer), "__name__", type(layer).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> nn.Module:
        module = self.layer(*args, **kwargs)
        if not isinstance(module, nn.Module):
            raise TypeError(f"the layer is a {type(module).__name__}, no torch.nn.Module")
        self.made.append(module)
        return module

    def take(self) -> list[nn.Module]:
        """What was made so far; forgotten here, as a model may keep its maker."""
        made, self.made = self.made, []
        return made


def _norm(what: str, norm: Choice) -> Norm:
    if isinstance(norm, type):
        return Norm(layer=norm)
    config = _named("norm", norm)
    if not config.get("layer") or "_target_" not in config["layer"]:
        raise UserError(
            f"norm={_name(norm)} has no layer: name the layer's class with norm.layer._target_"
        )
    made = {"layer": _factory(what, config["layer"])}
    for part in ("weight", "activation", "init", "convolution"):
        settings = config.get(part)
        if not settings:
            continue
        if "_target_" not in settings:
            raise UserError(
                f"norm={_name(norm)} has settings for a part that it does not have, norm.{part}: "
                f"name its class, with norm.{part}._target_"
            )
        made[part] = _factory(what, settings)
    return Norm(**made)


def _factory(what: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    """What makes a part; it is not made here, whatever the config says: the model does that."""
    return instantiate(what, {**settings, "_partial_": True})


def _adapt(what: str, network: nn.Module, norm: Norm, layers: list[nn.Module]) -> None:
    """Bring what the norm has besides its layers into the network, in place."""
    try:
        replaced = norm.replace_activations(network, layers)
        norm.initialize(network)
        norm.replace_convolutions(network)
        norm.reparametrize(network)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {first_line(error)}") from error
    if norm.activation is not None and not replaced:
        raise UserError(
            f"{what}: the norm brings an activation, and the network has none beside its norms "
            "whose place it could take: choose a model with torch.nn's activations there"
        )


def _norm_layers(network: nn.Module, made: list[nn.Module]) -> NormLayers:
    there = set(network.modules())
    found = [module for module in made if module in there]
    inside = {part for module in found for part in module.modules()}
    others: list[nn.Module] = [
        m for m in network.modules() if isinstance(m, NORM_LAYERS) and m not in inside
    ]
    return NormLayers(found, others)


def _name(config: Choice) -> str:
    if isinstance(config, type):
        return config.__name__
    return config if isinstance(config, str) else config["name"]


def _named(group: str, config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(config, str):
        return config
    options = config_names(group)
    if config not in options:
        raise UserError(f"{group} {config!r} is not known: choose {', '.join(options)}")
    return read_config(f"{group}/{config}")
