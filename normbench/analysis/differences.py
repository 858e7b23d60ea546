"""Telling configs apart: which settings differ, in words short enough for a heading."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def canonical(config: Any) -> str:
    """The same text for the same settings, whatever their order."""
    return json.dumps(config, sort_keys=True)


def distinctions(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each config the settings in which not all of them agree, as ``key=value, …``."""
    flats = [flat(config) for config in configs]
    keys = sorted({key for settings in flats for key in settings})
    differ = [key for key in keys if len({canonical(s.get(key)) for s in flats}) > 1]
    return [
        ", ".join(f"{key}={_shown(settings[key])}" for key in differ if key in settings)
        for settings in flats
    ]


def departures(base: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> str:
    """The settings in which a config differs from another, as ``key=value, …``.

    What a setting's ``_target_`` is follows from its name, and is left out.
    """
    known = flat(base, prefix)
    return ", ".join(
        f"{key}={_shown(value)}"
        for key, value in sorted(flat(other, prefix).items())
        if not key.endswith(("._target_", "._partial_"))
        and (key not in known or canonical(known[key]) != canonical(value))
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
