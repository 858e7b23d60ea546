"""Protocols that were chosen by some of the article's cells, frozen as they were then:
``reference/calibrations``.

Where one of them fits the article by choice, and what it predicted, stays known when the default
protocol is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from omegaconf import OmegaConf

from normbench.analysis.cells import Results, Settings, select
from normbench.analysis.differences import canonical
from normbench.settings import outcome_settings
from normbench.store.keys import stable
from normbench.store.records import Record

Axes = tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Calibration:
    """A protocol, and the article's cells that it was chosen by. Its other cells are predictions.

    Attributes:
        name: of its file.
        about: when and how it was chosen, in words.
        fitted_on: model -> norms, of whose cells.
        settings: (model, norm) -> what a run's record holds of its settings.
        grid: batch sizes, learning rates and seeds that it was measured on.
    """

    name: str
    about: str
    fitted_on: Mapping[str, tuple[str, ...]]
    settings: Mapping[tuple[str, str], Settings]
    grid: Axes

    def fitted(self, model: str, norm: str) -> bool:
        """Whether the article's cells of this model and norm decided on it."""
        return norm in self.fitted_on.get(model, ())

    def results(self, records: Iterable[Record]) -> Results:
        """Its cells, with what was measured of its norms on its grid, and no more."""
        batch_sizes, lrs, seeds = self.grid
        norms = {norm for _, norm in self.settings}
        of_grid = [
            record
            for record in records
            if record["config"]["norm"]["name"] in norms
            and record["batch_size"] in batch_sizes
            and record["lr"] in lrs
            and record["seed"] in seeds
        ]
        return select(of_grid, self.settings, self.grid)


@cache
def calibrations() -> tuple[Calibration, ...]:
    """All that there were, by name."""
    folder = resources.files("normbench") / "reference" / "calibrations"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(
        _read(file.name.removesuffix(".yaml"), file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".yaml")
    )


def was_fitted(settings: Settings) -> bool | None:
    """Whether the article's cells of this model and norm decided on the protocol of settings.

    Args:
        settings: of runs, norm included; in whatever precision.

    Returns:
        True if they did in any calibration, False if they were predicted, None of settings that no
        calibration has.
    """
    wanted = _of_any_precision(settings)
    place = settings["model"]["name"], settings["norm"]["name"]
    fitted = [
        calibration.fitted(*place)
        for calibration in calibrations()
        if place in calibration.settings
        and _of_any_precision(calibration.settings[place]) == wanted
    ]
    return any(fitted) if fitted else None


def _of_any_precision(settings: Settings) -> str:
    train = {k: v for k, v in settings["train"].items() if k != "precision"}
    return canonical({**settings, "train": train})


def _read(name: str, text: str) -> Calibration:
    config: Any = OmegaConf.to_container(OmegaConf.create(text))
    return Calibration(
        name=name,
        about=config["about"],
        fitted_on={model: tuple(norms) for model, norms in config["fitted_on"].items()},
        settings={
            (model["name"], norm["name"]): stable(
                outcome_settings(
                    config | {"model": model, "norm": norm}, config["train"]["precision"]
                )
            )
            for model in config["models"].values()
            for norm in config["norms"].values()
        },
        grid=(
            tuple(config["grid"]["batch_size"]),
            tuple(config["grid"]["lr"]),
            tuple(config["grid"]["seeds"]),
        ),
    )
