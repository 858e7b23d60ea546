"""Cells of two sets of records side by side: the same runs, or those of the same name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from normbench.analysis.differences import canonical, flat
from normbench.analysis.groups import groups, norm_rank
from normbench.analysis.welch import ALPHA, Estimate, Sample, contrast
from normbench.store.records import Record

OUTCOME = ("status", "epochs")
Name = tuple[str, str, str, int, float]  # data, model, norm, batch size, learning rate


@dataclass(frozen=True)
class Pair:
    """A cell on both sides.

    Attributes:
        name: its data, model, norm, batch size and learning rate.
        one, other: its records.
    """

    name: Name
    one: tuple[Record, ...]
    other: tuple[Record, ...]

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """Settings that differ, with the values of both; None where a side has none."""
        sides = [flat(_settings(records[0])) for records in (self.one, self.other)]
        names = sorted({name for side in sides for name in side})
        values = {name: (sides[0].get(name), sides[1].get(name)) for name in names}
        return {k: v for k, v in values.items() if canonical(v[0]) != canonical(v[1])}

    @property
    def code(self) -> list[str]:
        """Parts from outside the project whose source differs."""
        sides = [records[0].get("outside") or {} for records in (self.one, self.other)]
        return sorted(path for path in {**sides[0], **sides[1]} if _differs(path, *sides))

    @property
    def same(self) -> bool:
        """Whether both have the same runs, to the last bit."""
        outcomes = [
            {r["key"]: [r.get(part) for part in OUTCOME] for r in records}
            for records in (self.one, self.other)
        ]
        return outcomes[0] == outcomes[1]

    def samples(self, measure: str) -> tuple[Sample | None, Sample | None]:
        """Of the validation split after the last epoch, in runs that finished."""
        return _sample(self.one, measure), _sample(self.other, measure)

    def difference(self, measure: str, alpha: float = ALPHA) -> Estimate | None:
        """The other's mean minus the one's, with its interval; None where that cannot be told."""
        one, other = self.samples(measure)
        return contrast((-1, one), (1, other), alpha=alpha)


@dataclass(frozen=True)
class Pairing:
    """Two sets of records.

    Attributes:
        pairs: cells that both have.
        only_one, only_other: names of cells that have no counterpart, or more than one.
    """

    pairs: list[Pair]
    only_one: list[Name]
    only_other: list[Name]


def pair_up(one: Iterable[Record], other: Iterable[Record]) -> Pairing:
    """Pair cells of the same settings; what is left, those of the same names if there is but one
    of these on each side."""
    cells = [_cells(records, by_settings=True) for records in (one, other)]
    alike = sorted(set(cells[0]) & set(cells[1]))
    pairs = [(cells[0].pop(key), cells[1].pop(key)) for key in alike]
    named = [_cells([r for cell in side.values() for r in cell], False) for side in cells]
    for name in sorted(set(named[0]) & set(named[1])):
        sides = [side[name] for side in named]
        if all(len({canonical(_settings(r)) for r in records}) == 1 for records in sides):
            pairs.append((named[0].pop(name), named[1].pop(name)))
    found = [Pair(_name(a[0]), tuple(a), tuple(b)) for a, b in pairs]
    return Pairing(
        sorted(found, key=lambda pair: _order(pair.name)),
        *(sorted((_name(cell[0]) for cell in side.values()), key=_order) for side in named),
    )


def _cells(records: Iterable[Record], by_settings: bool) -> dict[Any, list[Record]]:
    def key(record: Record) -> tuple[Any, ...]:
        name = _name(record)
        return (*name, canonical(_settings(record))) if by_settings else name

    return dict(groups(records, key))


def _name(record: Record) -> Name:
    data, model, norm = (record["config"][part]["name"] for part in ("data", "model", "norm"))
    return data, model, norm, record["batch_size"], record["lr"]


def _order(name: Name) -> tuple[Any, ...]:
    data, model, norm, batch_size, lr = name
    return data, model, norm_rank(norm), -batch_size, -lr


def _settings(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record["config"].items() if key != "grid"}


def _sample(records: Sequence[Record], measure: str) -> Sample | None:
    return Sample.of([r["epochs"][-1][measure] for r in records if r["status"] == "finished"])


def _differs(path: str, one: dict[str, str], other: dict[str, str]) -> bool:
    return one.get(path) != other.get(path)
