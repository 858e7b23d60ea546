"""Charts as plain data: what is drawn, in which panels, and over which axes. The browser draws it.

Whatever is averaged is averaged here: a line holds its seeds, their mean and the ends of one
standard deviation around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from normbench.analysis.averages import geometric_mean, mean
from normbench.analysis.welch import Sample

DIGITS = 4  # significant ones of what is drawn


class Detail(NamedTuple):
    """How much of a line is kept.

    Attributes:
        points: at most.
        seeds: whether each seed is, beside their mean and spread.
    """

    points: int
    seeds: bool


# From the finest, whose points can just be told apart in a panel, to what always fits.
DETAILS = Detail(240, True), Detail(120, True), Detail(120, False), Detail(60, False)

Data = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """What an axis tells.

    Attributes:
        label: in words.
        log: whether it is logarithmic unless the reader says otherwise; None: never.
    """

    label: str
    log: bool | None = None


@dataclass(frozen=True)
class Line:
    """A line of several runs over a common x.

    Attributes:
        label: what it is named in its panel.
        x: (T,) where.
        runs: (seeds, T), NaN where a run has no number.
        norm: which it is of; it is shown as long as that norm is.
        rank: (place, of how many) where lines have an order, such as layers; None: its norm's look.
        geometric: whether mean and standard deviation are those of logarithms.
        shown: (seeds, T) that stand for the mean; None: ``runs`` do.
    """

    label: str
    x: Any
    runs: np.ndarray
    norm: str = ""
    rank: tuple[int, int] | None = None
    geometric: bool = False
    shown: np.ndarray | None = None

    def data(self, detail: Detail = DETAILS[0]) -> Data:
        runs, x = np.asarray(self.runs, dtype=float), np.asarray(self.x, dtype=float)
        smooth = runs if self.shown is None else np.asarray(self.shown, dtype=float)
        middle, low, high = centre(smooth, self.geometric)
        keep = _kept(len(x), detail.points)
        several = len(runs) > 1
        return {
            "label": self.label,
            "norm": self.norm,
            "rank": self.rank,
            "x": rounded(x[keep]),
            "mean": rounded(middle[keep]),
            "low": rounded(low[keep]) if several else None,
            "high": rounded(high[keep]) if several else None,
            "runs": [rounded(run[keep]) for run in runs] if several and detail.seeds else [],
        }


@dataclass(frozen=True)
class Range:
    """What lies between two lines, such as the lowest and highest loss.

    Attributes:
        label: what it is named in its panel.
        x, low, high: (T,)
        norm: which it is of.
        middle: (T,) what is drawn inside; None: nothing.
    """

    label: str
    x: Any
    low: np.ndarray
    high: np.ndarray
    norm: str = ""
    middle: np.ndarray | None = None

    def data(self, detail: Detail = DETAILS[0]) -> Data:
        keep = _kept(len(self.x), detail.points)
        middle = None if self.middle is None else rounded(self.middle[keep])
        return {
            "label": self.label,
            "norm": self.norm,
            "rank": None,
            "area": True,
            "x": rounded(np.asarray(self.x, dtype=float)[keep]),
            "mean": middle,
            "low": rounded(self.low[keep]),
            "high": rounded(self.high[keep]),
            "runs": [],
        }


@dataclass(frozen=True)
class Dot:
    """A number of a norm with what lies around it, in a row of its own.

    Attributes:
        norm: whose row it is in.
        value, low, high: the number, and the ends of what is drawn around it; NaN for none.
        runs: the numbers it is the average of.
        kind: ``ours``, or ``article`` for what the article says of the same.
        note: what a reader must know of it.
    """

    norm: str
    value: float
    low: float = math.nan
    high: float = math.nan
    runs: tuple[float, ...] = ()
    kind: str = "ours"
    note: str = ""

    @classmethod
    def of(cls, norm: str, sample: Sample | None, **more: Any) -> Dot | None:
        """A mean and its standard deviation; None where nothing was measured."""
        if sample is None:
            return None
        std = math.nan if sample.std is None else sample.std
        return cls(norm, sample.mean, sample.mean - std, sample.mean + std, **more)

    def data(self, detail: Detail = DETAILS[0]) -> Data:
        return {
            "norm": self.norm,
            "kind": self.kind,
            "note": self.note,
            "value": short(self.value),
            "low": short(self.low),
            "high": short(self.high),
            "runs": rounded(self.runs),
        }


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: of the panel.
        marks: what is in it: lines and ranges, or dots.
        norm: whose panel it is; it is shown as long as that norm is.
        y: its own axis, where panels differ in it; None: the chart's.
    """

    title: str
    marks: Sequence[Line | Range | Dot]
    norm: str = ""
    y: Axis | None = None


@dataclass(frozen=True)
class Chart:
    """Panels with the same axes.

    Attributes:
        id: no other chart has it.
        title: what it shows, short.
        x, y: axes; y of dots is the row of their norm.
        panels: that have anything in them.
        about: what is drawn, and what the spread is, in words.
        spread: what is drawn around means, for the reader who can have the seeds instead.
        levels: numbers on the y axis that have a name.
        dots: whether marks are dots in rows.
        free: whether each panel has its own range of the y axis (of dots: of the x axis).
    """

    id: str
    title: str
    x: Axis
    y: Axis
    panels: Sequence[Panel]
    about: str = ""
    spread: str = "mean ± standard deviation over seeds"
    levels: Sequence[tuple[float, str]] = ()
    dots: bool = False
    free: bool = False
    norms: list[str] = field(init=False)

    def __post_init__(self) -> None:
        named = (mark.norm for panel in self.panels for mark in panel.marks)
        object.__setattr__(self, "norms", [*dict.fromkeys(name for name in named if name)])

    @property
    def alternative(self) -> str:
        """What a reader who sees no chart is told first; the numbers are in its table."""
        kind = "Dots with bars" if self.dots else "Lines"
        titles = [panel.title for panel in self.panels if panel.title]
        panels = f", in panels: {'; '.join(titles[:8])}" if len(titles) > 1 else ""
        more = f" and {len(titles) - 8} more" if len(titles) > 8 else ""
        return f"{kind}: {self.title}{panels}{more}. The numbers are in the table below the chart."

    def data(self, detail: Detail = DETAILS[0]) -> Data:
        return {
            "id": self.id,
            "title": self.title,
            "x": _axis(self.x),
            "y": _axis(self.y),
            "dots": self.dots,
            "free": self.free,
            "spread": self.spread,
            "levels": [[short(level), name] for level, name in self.levels],
            "panels": [
                {
                    "title": panel.title,
                    "norm": panel.norm,
                    "y": _axis(panel.y) if panel.y else None,
                    "marks": [mark.data(detail) for mark in panel.marks],
                }
                for panel in self.panels
            ],
        }


def centre(runs: np.ndarray, geometric: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(seeds, T) -> mean, and one sample standard deviation below and above it, (T,) each.

    Args:
        geometric: those of logarithms, so that the spread is a factor.
    """
    if geometric:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(runs > 0, np.log(runs), np.nan)
        middle, spread = mean(logs, axis=0), _std(logs)
        ends = np.exp(middle - spread), np.exp(middle + spread)
        return geometric_mean(np.exp(logs), axis=0), *ends
    middle, spread = mean(runs, axis=0), _std(runs)
    return middle, middle - spread, middle + spread


def _std(runs: np.ndarray) -> np.ndarray:
    """Sample standard deviation over seeds of what is not NaN; NaN of one."""
    there = np.isfinite(runs)
    count = there.sum(axis=0)
    apart = np.where(there, runs - mean(runs, axis=0), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 1, np.sqrt((apart**2).sum(axis=0) / (count - 1)), np.nan)


def _kept(length: int, most: int) -> np.ndarray:
    """Which of so many points are drawn: all, or some at even distances with both ends."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))


def rounded(values: Iterable[float]) -> list[float | None]:
    return [short(value) for value in values]


def short(value: float | None) -> float | None:
    """A number as the page has it; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    number = float(f"{value:.{DIGITS}g}")
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _axis(axis: Axis) -> Data:
    return {"label": axis.label, "log": axis.log}
