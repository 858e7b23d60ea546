"""Cells and runs: which a command covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from normbench.settings import Settings
from normbench.store.keys import run_key


class Grid(NamedTuple):
    """What every model and norm is trained with: each batch size at each learning rate, with each
    seed."""

    batch_size: tuple[int, ...]
    lr: tuple[float, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, axes: Mapping[str, Any]) -> Grid:
        """From a ``grid`` config, or the like."""
        return cls(*(tuple(axes[axis]) for axis in cls._fields))

    def part(self, axes: Mapping[str, Any]) -> Grid:
        """The part that has the values of some axes only; None stands for all of an axis."""
        given = {axis: tuple(values) for axis, values in axes.items() if values is not None}
        return self._replace(**given)

    def runs(self, settings: Settings) -> list[Run]:
        """Every run, cell by cell in the grid's order."""
        return [Run(settings, *values) for values in product(*self)]


@dataclass(frozen=True)
class Run:
    """One training: a cell and a seed.

    Attributes:
        settings: what can change the outcome (``settings.outcome_settings``).
    """

    settings: Settings
    batch_size: int
    lr: float
    seed: int

    @cached_property
    def key(self) -> str:
        return run_key(self.settings, self.batch_size, self.lr, self.seed)

    def __str__(self) -> str:
        model, norm = self.settings["model"]["name"], self.settings["norm"]["name"]
        return f"{model} {norm} bs={self.batch_size} lr={self.lr:g} seed={self.seed}"
