"""How numbers become verdicts: a claim holds where they lie in a range that was fixed beforehand.

Every part of a claim is a number with an interval, and a range. The part is supported where the
whole interval lies inside of the range, contradicted where it lies outside, undecided where it
reaches across an end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from normbench.analysis.welch import ALPHA, Estimate, contrast
from normbench.claims.evidence import Evidence

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NOT_MEASURED = "undecided", "not measured"

MARGIN = 0.03  # of accuracy: less does not count where norms are said to match


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, and what was measured of it.

    what: in words.
    estimate: None where something is missing.
    low, high: ends of the range in which the claim says it is.
    caveat: what a reader must know of the runs behind it.
    form: how its numbers are written.
    """

    what: str
    estimate: Estimate | None
    low: float = -math.inf
    high: float = math.inf
    caveat: str = ""
    form: str = "+.3f"

    @property
    def verdict(self) -> str:
        if self.estimate is None:
            return NOT_MEASURED
        if self.supported(self.estimate):
            return SUPPORTED
        if self.estimate.high < self.low or self.high < self.estimate.low:
            return CONTRADICTED
        return UNDECIDED

    def supported(self, estimate: Estimate) -> bool:
        return self.low < estimate.low and estimate.high < self.high

    @property
    def parts(self) -> list[Part]:
        return [self]


@dataclass(frozen=True)
class Observed(Part):
    """A part that speaks of the very runs that were made: their number decides, if it is inside."""

    def supported(self, estimate: Estimate) -> bool:
        return self.low < estimate.value < self.high


@dataclass(frozen=True)
class Judgement:
    """A verdict and the parts that it follows from."""

    verdict: str
    parts: list[Part]


def every(parts: Iterable[Part | Judgement]) -> Judgement:
    """For a claim that says all of this: one part that is contradicted contradicts it."""
    return _first((CONTRADICTED, NOT_MEASURED, UNDECIDED, SUPPORTED), parts)


def some(parts: Iterable[Part | Judgement]) -> Judgement:
    """For a claim that says at least one of this: one part that is supported supports it."""
    return _first((SUPPORTED, NOT_MEASURED, UNDECIDED, CONTRADICTED), parts)


def _first(order: tuple[str, ...], parts: Iterable[Part | Judgement]) -> Judgement:
    parts = list(parts)
    verdicts = {part.verdict for part in parts}
    return Judgement(
        next((verdict for verdict in order if verdict in verdicts), NOT_MEASURED),
        [one for part in parts for one in part.parts],
    )


# Parts about accuracies. A cell is a batch size and a learning rate.
Cell = tuple[int, float]


def above(evidence: Evidence, norm: str, other: str, cell: Cell, alpha: float = ALPHA) -> Part:
    """A norm is above another."""
    return _apart(evidence, norm, other, cell, low=0, alpha=alpha)


def below(evidence: Evidence, norm: str, other: str, cell: Cell, alpha: float = ALPHA) -> Part:
    """A norm is below another."""
    return _apart(evidence, norm, other, cell, high=0, alpha=alpha)


def matches(evidence: Evidence, norm: str, other: str, cell: Cell) -> Part:
    """A norm is as good as another: better, or worse by less than the margin."""
    return _apart(evidence, norm, other, cell, low=-MARGIN)


def falls_short(evidence: Evidence, norm: str, other: str, cell: Cell) -> Part:
    """A norm does not match another: it is worse by more than the margin."""
    return _apart(evidence, norm, other, cell, high=-MARGIN)


def gains(evidence: Evidence, norm: str, other: str, here: Cell, there: Cell) -> Part:
    """What a norm has over another is more in one cell than in another."""
    terms = [(1, norm, here), (-1, other, here), (-1, norm, there), (1, other, there)]
    what = f"({norm} − {other}), {_name(here)} − {_name(there)}"
    return _part(what, evidence, terms, low=0)


def _apart(
    evidence: Evidence, norm: str, other: str, cell: Cell, alpha: float = ALPHA, **ends: float
) -> Part:
    what = f"{norm} − {other}, {_name(cell)}"
    return _part(what, evidence, [(1, norm, cell), (-1, other, cell)], alpha, **ends)


def _part(
    what: str,
    evidence: Evidence,
    terms: list[tuple[float, str, Cell]],
    alpha: float = ALPHA,
    **ends: float,
) -> Part:
    samples = [(weight, evidence.accuracy(norm, *cell)) for weight, norm, cell in terms]
    known = all(sample for _, sample in samples)
    estimate = contrast(*samples, alpha=alpha) if known else None
    return Part(what, estimate, caveat=evidence.caveats(*((n, *c) for _, n, c in terms)), **ends)


def _name(cell: Cell) -> str:
    return f"{cell[0]}/{cell[1]:g}"
