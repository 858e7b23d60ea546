"""A record in the words that trackers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from normbench.store.keys import checksum
from normbench.store.records import Record


@dataclass(frozen=True)
class TrackedRun:
    """A run for a tracker.

    Attributes:
        identity: of its record: another training of the same run has another one.
        key: of the run.
        model, data: names.
        cell: model, norm, batch size and learning rate, in words; its seeds belong together.
        settings: dotted names -> plain values; all that can change the outcome, and where it ran.
        epochs: measure -> value, for each epoch.
        outcome: measure -> number; of a run that diverged without accuracy and loss.
        status: finished or diverged.
    """

    identity: str
    key: str
    model: str
    data: str
    cell: str
    seed: int
    settings: dict[str, Any]
    epochs: list[dict[str, float]]
    outcome: dict[str, float]
    status: str

    @property
    def title(self) -> str:
        return f"{self.cell} seed={self.seed}"

    @classmethod
    def of(cls, record: Record) -> TrackedRun:
        config = {part: of for part, of in record["config"].items() if part != "grid"}
        where = {name: str(value) for name, value in record["environment"].items()}
        model, norm = config["model"]["name"], config["norm"]["name"]
        point = {name: record[name] for name in ("batch_size", "lr", "seed")}
        epochs = [dict(epoch) for epoch in record["epochs"]]
        outcome = dict(epochs[-1]) if record["status"] == "finished" and epochs else {}
        for measure in ("train_seconds", "images_per_second"):
            if isinstance(record.get(measure), int | float):
                outcome[measure] = record[measure]
        return cls(
            identity=f"{record['key']}-{checksum(record)[:6]}",
            key=record["key"],
            model=model,
            data=config["data"]["name"],
            cell=f"{model} {norm} bs={point['batch_size']} lr={point['lr']:g}",
            seed=record["seed"],
            settings=flat(config) | point | flat({"environment": where}),
            epochs=epochs,
            outcome=outcome,
            status=record["status"],
        )


class Tracker(Protocol):
    """Takes runs to where people look at them. May raise whatever its library does."""

    def track(self, run: TrackedRun) -> None:
        """Tell of a run, unless it was told before."""
        ...

    def report(self, files: Mapping[str, Path]) -> None:
        """Tell of tables (.md) and figures (.png), by their names, in place of earlier ones."""
        ...

    def close(self) -> None: ...


def check_installed(library: str) -> None:
    """Look for a tracker's library before anything trains.

    Raises:
        ImportError: if it is not there; names the extra that brings it.
    """
    if find_spec(library) is None:
        raise ImportError(f'{library} is not installed: pip install "normbench[{library}]"')


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; lists as text."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.")
        else:
            plain = value is None or isinstance(value, str | int | float | bool)
            values[f"{prefix}{name}"] = value if plain else str(value)
    return values
