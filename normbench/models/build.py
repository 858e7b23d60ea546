"""A network from the names, or the configs, of a model and a norm."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import hydra.utils
from omegaconf import OmegaConf
from torch import nn

from normbench.errors import UserError
from normbench.explain import first_line
from normbench.instantiate import instantiate
from normbench.models.walk import norms_of, replace
from normbench.norms import Norm
from normbench.places import config_names, read_config
from normbench.zoo import model_config

Choice = str | type[nn.Module] | Mapping[str, Any]  # of a norm: a config, its name, or a class
Network = TypeVar("Network", bound=nn.Module)

OURS = ("name", "partial")  # settings of a model that are not for what makes it
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NormLayers:
    """What stands where norms do in a network.

    Attributes:
        found: the layers of the norm that was asked for.
        others: norm layers that are none of these.
        replaced: whether those that were found stand where the network had norms of its own.
    """

    found: list[nn.Module]
    others: list[nn.Module]
    replaced: bool = False

    def __str__(self) -> str:
        """``20 of 20 norms``, with the others by their kinds."""
        if not (count := len(self.found) + len(self.others)):
            return "no norms"
        kinds = ", ".join(sorted({type(module).__name__ for module in self.others}))
        stay = f" (not {kinds})" if kinds else ""
        return f"{len(self.found)} of {count} norm{'s' * (count != 1)}{stay}"

    def summary(self, norm: str) -> str:
        """``replaced 20 of 20 norms by groupnorm``, or what else there is to say of a network."""
        if self.replaced:
            return f"replaced {self} by {norm}" if self.found else "has no norms"
        return f"{self} are {norm}"


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
    own = {key: value for key, value in settings.items() if key not in OURS}
    makes_norms = _takes_norm_layer(own)
    given: dict[str, Any] = {"norm_layer": maker} if makes_norms else {}
    given |= _channels(_name(model), own, in_channels)
    network = instantiate(what, own, **given, num_classes=num_classes)
    if not isinstance(network, nn.Module):
        raise UserError(f"{what}: the model is a {type(network).__name__}, no torch.nn.Module")
    if makes_norms:
        layers = _norm_layers(network, maker.take())
        if not layers.found and (layers.others or _kind(chosen.layer) is not nn.Identity):
            raise UserError(
                f"{what}: the network that was built has {_none_of(layers)} and none of "
                f"{_name(norm)}: choose a model that makes its norms with its argument norm_layer, "
                "or has no such argument: then its norms are replaced"
            )
    else:
        layers = _replace(what, network, chosen, maker)
    _check_all_are(what, layers, settings.get("partial", False), "+model.partial=true")
    _adapt(what, network, chosen, layers.found)
    return network, layers


def replace_norms(model: Network, norm: Choice = "batchnorm", partial: bool = False) -> Network:
    """Put a norm in the place of every norm of a network, in place: see `normbench.models.walk`.

    What the norm brings besides its layers, such as standardized weights, comes along. How many
    were replaced is logged; where it is not all of them, that raises.

    Args:
        model: any network, with norms of any library's.
        norm: as for `build_model`.
        partial: whether norms may stay that cannot be replaced.

    Returns:
        The network that was given.

    Raises:
        UserError: for an unknown norm, one that does not fit the network, a network without norms,
            and one that has norms of which it cannot be told what they normalize.
    """
    what = f"{type(model).__name__} with norm={_name(norm)}"
    chosen = _norm(what, norm)
    layers = _replace(what, model, chosen, LayerMaker(chosen.layer))
    _check_all_are(what, layers, partial, "partial=True")
    _adapt(what, model, chosen, layers.found)
    log.info(layers.summary(_name(norm)))
    return model.train(model.training)


def _takes_norm_layer(settings: Mapping[str, Any]) -> bool:
    """Whether what makes a model is to make its norms, or would hand ``norm_layer`` on."""
    try:
        parameters = inspect.signature(hydra.utils.get_object(settings["_target_"])).parameters
    except Exception:  # what is wrong with it shows, and is told, when it is called
        return True
    return "norm_layer" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def _replace(what: str, network: nn.Module, norm: Norm, maker: LayerMaker) -> NormLayers:
    """Put a norm's layers in the place of a network's own; a network without any stays as it is,
    which is right for a norm that would put nothing there."""
    try:
        others = replace(network, maker)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{what}: {first_line(error)}") from error
    layers = NormLayers(maker.take(), others, replaced=True)
    if not layers.found and (others or _kind(norm.layer) is not nn.Identity):
        raise UserError(
            f"{what}: the network has {_none_of(layers)}, and nothing whose place the norm could "
            "take: choose norm=none, or another model"
        )
    return layers


def _check_all_are(what: str, layers: NormLayers, partial: bool, remedy: str) -> None:
    if layers.others and not partial:
        raise UserError(f"{what} would have {layers}: to train that nevertheless, say {remedy}")


def _none_of(layers: NormLayers) -> str:
    return f"{len(layers.others)} norms of its own" if layers.others else "no norm at all"


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
        self.__name__ = getattr(_kind(layer), "__name__", type(layer).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> nn.Module:
        try:
            module = self.layer(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{first_line(error)}{self._remedy(args, kwargs)}") from error
        if not isinstance(module, nn.Module):
            raise TypeError(f"the layer is a {type(module).__name__}, no torch.nn.Module")
        self.made.append(module)
        return module

    def _remedy(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """What to do about arguments that do not fit, if they do not."""
        try:
            inspect.signature(self.layer).bind(*args, **kwargs)
        except (TypeError, ValueError):
            return (
                ": a layer is made of the number of channels, its first argument, and of settings, "
                "which are written +norm.layer.NAME=VALUE"
            )
        return ""

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
    for part in ("weight", "activation", "init", "convolution", "clip"):
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
    others = dict.fromkeys(m for m in norms_of(network).values() if m not in inside)
    return NormLayers(found, list(others))


def _kind(layer: Callable[..., nn.Module]) -> Any:
    """What a factory calls."""
    return getattr(layer, "func", layer)


def _name(config: Choice) -> str:
    if isinstance(config, type):
        return config.__name__
    return config if isinstance(config, str) else config["name"]


def _named(group: str, config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(config, str):
        return config
    if group == "model" and (found := model_config(config)):
        return OmegaConf.create(found)
    options = config_names(group)
    if config not in options:
        raise UserError(f"{group} {config!r} is not known: choose {', '.join(options)}")
    return read_config(f"{group}/{config}")
