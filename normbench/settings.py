"""From a composed config to plain values: what can change what a run computes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from normbench.errors import UserError

Settings = dict[str, Any]  # data, model, norm, optimizer, schedule, train, and of a probe's: probe

# Nodes that Hydra instantiates, and where their names stand. Their settings are arguments of their
# `_target_`.
INSTANTIATED = {
    "model": "model.name",
    "norm.layer": "norm.name",
    "norm.weight": "norm.name",
    "norm.activation": "norm.name",
    "norm.init": "norm.name",
    "norm.convolution": "norm.name",
    "norm.clip": "norm.name",
    "data.source": "data.name",
    "optimizer": "optimizer.name",
    "schedule": "schedule.name",
    "probe": "probe.name",
}
# Of these, those that are added to a norm, whose name becomes longer.
ADDED = ("norm.weight", "norm.activation", "norm.init", "norm.convolution", "norm.clip")
ELSEWHERE = ("root", "cache", "download")  # where a dataset is, not what it is


def settle_replaced_parts(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """See to the settings and the name of parts whose ``_target_`` the user replaced.

    Settings that were not typed are arguments of the old target, and go. A name that was not typed
    is the old target's, and becomes the new one's, so that no part is recorded as another.

    Args:
        cfg: a composed config; changed in place.
        overrides: what the user typed, such as ``["norm.layer._target_=mine.MyNorm"]``.

    Raises:
        UserError: for a target that is no import path.
    """
    typed = {override.lstrip("+~").split("=", 1)[0] for override in overrides}
    for node, name in INSTANTIATED.items():
        settings = OmegaConf.select(cfg, node)
        if f"{node}._target_" not in typed or settings is None:
            continue
        target = settings.get("_target_")
        if not re.fullmatch(r"\w+(\.\w+)+", str(target)):
            raise UserError(
                f"{node}._target_={target} names nothing: give the import path of a class or a "
                "function, such as mymodule.MyLayer"
            )
        for key in list(settings):
            keep = key in ("_target_", "_partial_", "name") or f"{node}.{key}" in typed
            if not keep:
                OmegaConf.set_struct(settings, False)
                del settings[key]
        if name not in typed:
            new = target.rpartition(".")[2]
            old = OmegaConf.select(cfg, name)
            OmegaConf.update(cfg, name, f"{old}_{new}" if node in ADDED else new)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A config as dicts and lists, with everything that it refers to in place."""
    values: Any = OmegaConf.to_container(cfg, resolve=True)
    return values


def outcome_settings(
    config: dict[str, Any], precision: str, identity: str | None = None
) -> Settings:
    """Exactly the settings that can change what a run computes.

    Args:
        config: a config of a training, or one model's and norm's of the article, as plain values.
        precision: what ``train.precision`` came to: fp32, bf16 or fp16.
        identity: tells datasets apart that share their settings (``Dataset.identity``).
    """
    data = {k: v for k, v in config["data"].items() if k not in ELSEWHERE}
    for later in ("held_out", "limit"):  # which hundreds of runs were recorded without
        if not data.get(later):
            data.pop(later, None)
    return {
        "data": data | ({"identity": identity} if identity else {}),
        "model": config["model"],
        "norm": norm_settings(config["norm"]),
        "optimizer": config["optimizer"],
        "schedule": config["schedule"],
        "train": {"epochs": config["train"]["epochs"], "precision": precision},
        **({"probe": config["probe"]} if "probe" in config else {}),
    }


def norm_settings(norm: dict[str, Any]) -> dict[str, Any]:
    """Of a norm's config, as plain values, what can change what a run computes.

    A weight was there from the start, as None where a norm has none; what came later is left out.
    """
    return {"weight": None} | {part: of for part, of in norm.items() if of}
