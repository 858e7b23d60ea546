"""Networks as runs have left them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import nn

from normbench.errors import UserError
from normbench.explain import first_line
from normbench.models.build import Choice, build_model

# What a file of weights may name. Calling other things that it names could do anything.
KNOWN = ("normbench.norms.", "normbench.models.", "torch.nn.", "torchvision.", "timm.")


def load_model(
    key: str,
    results: str | Path = "results",
    *,
    model: str | Mapping[str, Any] | None = None,
    norm: Choice | None = None,
) -> nn.Module:
    """The network that a run has trained with ``train.save_weights=true``, in evaluation mode.

    Its inputs are images (N, C, H, W) in [0, 1], from which ``network.about["data"]["mean"]`` was
    subtracted, divided by its ``std``; ``network.about["classes"]`` names what its outputs mean.

    Args:
        key: the run's, which its record is named by.
        results: the results folder.
        model, norm: to be given where they are not the project's own, nor of torch, torchvision or
            timm, as nothing else that a file names is ever called.

    Raises:
        UserError: if there are no such weights, they are damaged, or not of that network.
    """
    path = Path(results) / "weights" / f"{key}.safetensors"
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: train the run with train.save_weights=true (and force=true, "
            "if it has a record)"
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["normbench"])
        state = safetensors.torch.load_file(path)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}): train its run again") from error
    for part, given in (("model", model), ("norm", norm)):
        foreign = [t for t in _targets(about[part]) if not t.startswith(KNOWN)]
        if given is None and foreign:
            raise UserError(
                f"{path} is of a {part} of your own, {foreign[0]}: give it with {part}=…"
            )
    network = build_model(model or about["model"], norm or about["norm"], len(about["classes"]))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path} is of another network: {first_line(error)}") from error
    network.about = about
    return network.eval()


def _targets(settings: Any) -> Iterator[str]:
    """Every ``_target_`` in nested settings."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            if name == "_target_":
                yield str(value)
            else:
                yield from _targets(value)
