"""How numbers become verdicts: a claim holds where they lie in a range that was fixed beforehand.

Every part of a claim is a number with an interval, and a range. The part is supported where the
whole interval lies inside of the range, contradicted where it lies outside, undecided where it
reaches across an end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from normbench.analysis.welch import ALPHA, Estimate, contrast
from normbench.claims.evidence import Evidence

SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NOT_MEASURED = "undecided", "not measured"

MARGIN = 0.03  # of accuracy: less does not count where norms are said to match

GridPoint = tuple[int, float]  # a batch size and a learning rate


class Ends(TypedDict, total=False):
    """Ends of the range in which a claim says that a number is, where it has them."""

    low: float
    high: float


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, and what was measured of it.

    Attributes:
        what: in words.
        estimate: None where something is missing.
        low, high: ends of the range in which the claim says it is.
        caveat: what a reader must know of the runs behind it.
        form: how its numbers are written.
        ratio: whether it is one, so that 1 says no difference and 2 lies as far from it as 1/2.
    """

    what: str
    estimate: Estimate | None
    low: float = -math.inf
    high: float = math.inf
    caveat: str = ""
    form: str = "+.3f"
    ratio: bool = False

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

    def exp(self, form: str = ".2f") -> Part:
        """The same of the ratio whose logarithm this is about; ends are left as they are."""
        estimate = self.estimate and self.estimate.exp()
        return replace(self, estimate=estimate, form=form, ratio=True)


@dataclass(frozen=True)
class Observed(Part):
    """A part that speaks of the very runs that were made: their number decides, if it is inside."""

    def supported(self, estimate: Estimate) -> bool:
        return self.low < estimate.value < self.high


@dataclass(frozen=True)
class Judgement:
    """What a rule comes to.

    Attributes:
        verdict: of the whole claim.
        parts: that it follows from.
    """

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


# Parts about accuracies.


def above(
    evidence: Evidence, norm: str, other: str, point: GridPoint, alpha: float = ALPHA
) -> Part:
    """A norm is above another."""
    return _apart(evidence, norm, other, point, low=0, alpha=alpha)


def below(
    evidence: Evidence, norm: str, other: str, point: GridPoint, alpha: float = ALPHA
) -> Part:
    """A norm is below another."""
    return _apart(evidence, norm, other, point, high=0, alpha=alpha)


def matches(evidence: Evidence, norm: str, other: str, point: GridPoint) -> Part:
    """A norm is as good as another: better, or worse by less than the margin."""
    return _apart(evidence, norm, other, point, low=-MARGIN)


def falls_short(evidence: Evidence, norm: str, other: str, point: GridPoint) -> Part:
    """A norm does not match another: it is worse by more than the margin."""
    return _apart(evidence, norm, other, point, high=-MARGIN)


def gains(evidence: Evidence, norm: str, other: str, here: GridPoint, there: GridPoint) -> Part:
    """What a norm has over another is more here than there."""
    terms = [(1, norm, here), (-1, other, here), (-1, norm, there), (1, other, there)]
    what = f"({norm} − {other}), {_name(here)} − {_name(there)}"
    return _part(what, evidence, terms, low=0)


def _apart(
    evidence: Evidence,
    norm: str,
    other: str,
    point: GridPoint,
    alpha: float = ALPHA,
    **ends: Unpack[Ends],
) -> Part:
    what = f"{norm} − {other}, {_name(point)}"
    return _part(what, evidence, [(1, norm, point), (-1, other, point)], alpha, **ends)


def _part(
    what: str,
    evidence: Evidence,
    terms: Sequence[tuple[float, str, GridPoint]],
    alpha: float = ALPHA,
    **ends: Unpack[Ends],
) -> Part:
    samples = [(weight, evidence.accuracy(norm, *point)) for weight, norm, point in terms]
    caveat = evidence.caveats(*((norm, *point) for _, norm, point in terms))
    return Part(what, contrast(*samples, alpha=alpha), caveat=caveat, **ends)


def _name(point: GridPoint) -> str:
    return f"{point[0]}/{point[1]:g}"
