"""What was measured of a study: its runs, found among the records in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normbench.analysis.reference import GUESSING
from normbench.analysis.welch import Sample
from normbench.store.probe_records import read_probe
from normbench.store.records import Record, read_all
from normbench.studies.study import Study


@dataclass(frozen=True)
class Measure:
    """A number of a run.

    Attributes:
        name: in words.
        number: takes it from a record; None where the run has none.
        diverged: what a run that diverged counts as; None: such runs are left out.
    """

    name: str
    number: Callable[[Record], float | None]
    diverged: float | None = None


def final_accuracy(record: Record) -> float:
    """On the validation split, after the last step."""
    if "epochs" in record:
        return float(record["epochs"][-1]["val_accuracy"])
    return float(record["measured"]["val_accuracy"][-1])


ACCURACY = Measure("accuracy", final_accuracy, GUESSING)


def measured(name: str, key: str) -> Measure:
    """A number that a probe's record holds under a key."""
    return Measure(name, lambda record: record["measured"][key])


@dataclass(frozen=True)
class Found:
    """What there is of a study.

    Attributes:
        study: which.
        rows: of each part its runs: what each chose (by setting, ``batch_size``, ``lr``, ``seed``)
            and its ``record``.
    """

    study: Study
    rows: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, results: Path) -> Found:
        """Read a study's folder below a results folder."""
        folder = study.folder(results)
        stored: dict[str | None, list[Record]] = {}
        for probe in {part.probe for part in study.parts}:
            where = folder / ("records" if probe is None else f"probes/{probe}")
            if where.is_dir():
                stored[probe] = read_all(folder) if probe is None else read_probe(folder, probe)
        rows = {
            part.name: [
                {**choices, "seed": record["seed"], "record": record}
                for record in stored.get(part.probe, [])
                if (choices := part.choices(record)) is not None
            ]
            for part in study.parts
        }
        return cls(study, rows)

    @property
    def missing(self) -> int:
        """How many of its runs there are not."""
        return sum(part.missing(self.rows.get(part.name, ())) for part in self.study.parts)

    def where(self, **choices: Any) -> Iterator[dict[str, Any]]:
        """The rows that made these choices; ``part`` names a part, a dot in a setting is ``__``."""
        part = choices.pop("part", None)
        wanted = {key.replace("__", "."): value for key, value in choices.items()}
        for name, rows in self.rows.items():
            for row in rows if part in (None, name) else ():
                if all(key in row and row[key] == value for key, value in wanted.items()):
                    yield row

    def numbers(self, measure: Measure, **choices: Any) -> list[float]:
        """A measure of the runs that made these choices, in the order of their seeds."""
        rows = sorted(self.where(**choices), key=lambda row: row["seed"])
        of_runs = [
            measure.number(row["record"])
            if row["record"]["status"] == "finished"
            else measure.diverged
            for row in rows
        ]
        return [number for number in of_runs if number is not None]

    def sample(self, measure: Measure, **choices: Any) -> Sample | None:
        """The same as a sample; None without a run."""
        return Sample.of(self.numbers(measure, **choices))

    def diverged(self, **choices: Any) -> int:
        """How many of these runs diverged."""
        return sum(row["record"]["status"] == "diverged" for row in self.where(**choices))
