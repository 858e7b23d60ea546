"""A network from the names, or the configs, of a model and a norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from normbench.errors import UserError
from normbench.explain import first_line
from normbench.norms import Norm
from normbench.places import config_names, read_config


def build_model(
    model: str | Mapping[str, Any],
    norm: str | Mapping[str, Any] = "batchnorm",
    num_classes: int = 10,
) -> nn.Module:
    """A network with a norm in it, freshly initialized from torch's global random state.

    Args:
        model: the name of a model config, such as ``"resnet18"``, or such a config.
        norm: the name of a norm config, such as ``"groupnorm"``, or such a config.
        num_classes: width of the output.

    Raises:
        UserError: for an unknown name, or settings that the model or the norm refuses.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    norm_config = _named("norm", norm)
    settings = {k: v for k, v in _named("model", model).items() if k != "name"}
    try:
        chosen = Norm(
            layer=instantiate(norm_config["layer"], _convert_="all"),
            weight=(
                instantiate(norm_config["weight"], _convert_="all")
                if norm_config.get("weight")
                else None
            ),
        )
        network = instantiate(
            settings, norm_layer=chosen.layer, num_classes=num_classes, _convert_="all"
        )
        chosen.reparametrize(network)
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(
            f"model={_name(model)} with norm={_name(norm)}: {first_line(cause)}"
        ) from error
    except (TypeError, ValueError) as error:
        raise UserError(f"model={_name(model)} with norm={_name(norm)}: {error}") from error
    return network


def _name(config: str | Mapping[str, Any]) -> str:
    return config if isinstance(config, str) else config["name"]


def _named(group: str, config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(config, str):
        return config
    options = config_names(group)
    if config not in options:
        raise UserError(f"{group} {config!r} is not known: choose {', '.join(options)}")
    return read_config(f"{group}/{config}")
