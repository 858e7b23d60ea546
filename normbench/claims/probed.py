"""Parts of claims about what probes measured: differences and ratios between norms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Unpack

from normbench.analysis.welch import contrast
from normbench.claims.evidence import Evidence, Quantity
from normbench.claims.rules import Ends, GridPoint, Part


def weighted(
    evidence: Evidence,
    quantity: Quantity,
    point: GridPoint,
    norms: Mapping[str, float],
    what: str,
    **ends: Unpack[Ends],
) -> Part:
    """A weighted sum of a quantity's means.

    Args:
        evidence: to judge by.
        quantity: that is summed.
        point: where.
        norms: norm -> weight.
        what: the sum, in words.
        ends: of the range in which the claim says it is.
    """
    terms = [(weight, evidence.probed(quantity, norm, *point)) for norm, weight in norms.items()]
    caveat = evidence.caveats(*((norm, *point) for norm in norms), probe=quantity.probe)
    return Part(f"{quantity.name}: {what}", contrast(*terms), caveat=caveat, **ends)


def excess(
    evidence: Evidence,
    quantity: Quantity,
    norm: str,
    other: str,
    point: GridPoint,
    **ends: Unpack[Ends],
) -> Part:
    """How much more of a quantity a norm has than another."""
    norms = {norm: 1, other: -1}
    return weighted(evidence, quantity, point, norms, f"{norm} − {other}", **ends)


def ratio(
    evidence: Evidence,
    quantity: Quantity,
    norm: str,
    other: str,
    point: GridPoint,
    **ends: Unpack[Ends],
) -> Part:
    """How many times as much of a positive quantity a norm has as another: of geometric means."""
    norms = {norm: 1, other: -1}
    return weighted(evidence, _log(quantity), point, norms, f"{norm} / {other}", **ends).exp()


def amount(
    evidence: Evidence, quantity: Quantity, norm: str, point: GridPoint, **ends: Unpack[Ends]
) -> Part:
    """How much of a positive quantity a norm has: the geometric mean."""
    return weighted(evidence, _log(quantity), point, {norm: 1}, norm, **ends).exp()


def _log(quantity: Quantity) -> Quantity:
    def logarithm(number: float) -> float:
        return math.log(number) if number > 0 else math.nan

    diverged = None if quantity.diverged is None else logarithm(quantity.diverged)
    return replace(
        quantity, number=lambda measured: logarithm(quantity.number(measured)), diverged=diverged
    )
