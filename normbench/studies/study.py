"""What a study is: commands that anyone could type, under one name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from normbench.errors import UserError
from normbench.explain import nearest
from normbench.places import config_names, read_config
from normbench.store.records import Record

SMALL, FULL = "small", "full"
AXES = {"batch_size": "batch_size", "lr": "lr", "seeds": "seed"}  # of a grid: in a record


@dataclass(frozen=True)
class Part:
    """One sweep of a study.

    Attributes:
        name: within the study.
        command: ``run`` or ``probe``.
        settings: what all its runs share, such as ``{"model": "cnn4", "train.epochs": 15}``.
        sweep: setting -> its values; every combination is run. A setting that is not in the
            model's config begins with a plus, as it is typed; among choices it does not.
        grid: batch_size, lr and seeds.
    """

    name: str
    command: str
    settings: Mapping[str, Any]
    sweep: Mapping[str, Sequence[Any]]
    grid: Mapping[str, Sequence[Any]]

    @property
    def runs(self) -> int:
        """How many."""
        return math.prod(len(values) for values in (*self.sweep.values(), *self.grid.values()))

    @property
    def probe(self) -> str | None:
        return self.settings.get("probe")

    def typed(self) -> list[str]:
        """The command, as one types it after ``normbench``."""
        return [
            self.command,
            "-m",
            *(f"{key}={_typed(value)}" for key, value in self.settings.items()),
            *(f"{key}={','.join(map(_typed, values))}" for key, values in self.sweep.items()),
            *(f"grid.{axis}={_typed(list(values))}" for axis, values in self.grid.items()),
        ]

    def choices(self, record: Record) -> dict[str, Any] | None:
        """What a run of this part chose of the sweep and the grid; None for another's record."""
        config = record["config"]
        axes = {axis: record[field] for axis, field in AXES.items()}
        if any(axes[axis] not in values for axis, values in self.grid.items()):
            return None
        if any(_chosen(config, key) != value for key, value in self.settings.items()):
            return None
        chosen = {key: _chosen(config, key) for key in self.sweep}
        if any(chosen[key] not in values for key, values in self.sweep.items()):
            return None
        named = {key.lstrip("+"): value for key, value in chosen.items()}
        return {**named, "batch_size": record["batch_size"], "lr": record["lr"]}

    def missing(self, found: Sequence[Mapping[str, Any]]) -> int:
        """How many of its runs are not among those found, which are choices and a seed, each."""
        keys = [*(key.lstrip("+") for key in self.sweep), *AXES.values()]
        there = [tuple(of[key] for key in keys) for of in found]
        grid = [self.grid[axis] for axis in AXES]
        return sum(run not in there for run in product(*self.sweep.values(), *grid))


@dataclass(frozen=True)
class Study:
    """An experiment of the source texts.

    Attributes:
        name: of its file in ``configs/study``.
        number: its place in a list.
        title: what it is about.
        decides: which question it answers, in a line.
        texts: letters of the source texts whose sentences it decides.
        source: whose protocol it follows.
        minutes: what it takes on two CPU cores, about.
        reduced: how it is smaller than its source, for captions; empty where it is not.
        parts: its sweeps.
        scale: ``small`` or ``full``.
    """

    name: str
    number: int
    title: str
    decides: str
    texts: tuple[str, ...]
    source: str
    minutes: float
    reduced: str
    parts: tuple[Part, ...]
    scale: str = SMALL

    @property
    def runs(self) -> int:
        return sum(part.runs for part in self.parts)

    def folder(self, results: Path) -> Path:
        """Its own results folder, below that of all else."""
        return results / "studies" / (self.name if self.scale == SMALL else f"{self.name}_{FULL}")


def study_names() -> list[str]:
    """All studies, in the order of their numbers."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    names = config_names("study")
    return tuple(sorted(names, key=lambda name: int(read_config(f"study/{name}").number)))


def load_study(name: str, scale: str = SMALL) -> Study:
    """The study of a name.

    Args:
        name: of its config.
        scale: ``small``, or ``full``: the size of its source, for a GPU.

    Raises:
        UserError: if there is none, or no such scale.
    """
    if name not in (names := study_names()):
        raise UserError(
            f"study {name} is not known{nearest(name, names)}; normbench study lists them"
        )
    if scale not in (SMALL, FULL):
        raise UserError(f"study.scale={scale} is not known: choose {SMALL} or {FULL}")
    config = read_config(f"study/{name}")
    if scale == FULL:
        config.parts = OmegaConf.merge(config.parts, config.get("full") or {})
    plain: Any = OmegaConf.to_container(config)
    return Study(
        name=name,
        number=plain["number"],
        title=plain["title"],
        decides=plain["decides"],
        texts=tuple(plain["texts"]),
        source=plain["source"],
        minutes=plain["minutes"],
        reduced=(plain.get("reduced") or "") if scale == SMALL else "",
        parts=tuple(
            Part(
                name=part,
                command=of["command"],
                settings=of.get("settings") or {},
                sweep=of.get("sweep") or {},
                grid=of["grid"],
            )
            for part, of in plain["parts"].items()
        ),
        scale=scale,
    )


def _typed(value: Any) -> str:
    """A value as Hydra's grammar has it."""
    if isinstance(value, list):
        return "[" + ",".join(map(_typed, value)) + "]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return str(value)


def _chosen(config: Mapping[str, Any], setting: str) -> Any:
    """What a record's config says of a setting: of a group, the option's name; else its value."""
    value: Any = config
    for key in setting.lstrip("+").split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value["name"] if isinstance(value, Mapping) and "name" in value else value
