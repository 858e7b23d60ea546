"""What a run is, in words that outlive the code's layout, and the key that names it.

A part of normbench's own (a layer, an optimizer, a schedule, a dataset, a model, a probe) is known
by its class's or function's name, wherever in the package it lies; a part from elsewhere by its
import path. How Hydra is told to call it is no part of what a run is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

OURS = "normbench."
PLUMBING = ("_partial_", "_recursive_", "_convert_")


def stable(settings: Any) -> Any:
    """Settings as records hold them: without plumbing, our own targets without their modules.

    ``{"_target_": "normbench.norms.group.GroupNorm", "_partial_": True, "eps": 1e-5}`` becomes
    ``{"_target_": "normbench.GroupNorm", "eps": 1e-5}``. What is stable stays as it is.
    """
    if isinstance(settings, Mapping):
        return {
            key: _without_modules(value) if key == "_target_" else stable(value)
            for key, value in settings.items()
            if key not in PLUMBING
        }
    return [stable(value) for value in settings] if isinstance(settings, list) else settings


def _without_modules(target: Any) -> Any:
    if isinstance(target, str) and target.startswith(OURS):
        return OURS + target.rpartition(".")[2]
    return target


def run_key(settings: Mapping[str, Any], batch_size: int, lr: float, seed: int) -> str:
    """The name of a run: 16 hexadecimal digits that depend on what can change its outcome alone.

    Args:
        settings: all of it besides the cell's batch size and learning rate, and the seed.
    """
    whole = {"settings": stable(settings), "batch_size": batch_size, "lr": lr, "seed": seed}
    return _digest(whole)


def checksum(record: Mapping[str, Any]) -> str:
    """16 hexadecimal digits over all that a record holds besides its checksum."""
    return _digest({field: value for field, value in record.items() if field != "checksum"})


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
