"""Parts of claims about what probes measured: differences and ratios between norms."""

from __future__ import annotations

import math
from dataclasses import replace

from normbench.analysis.welch import contrast
from normbench.claims.evidence import Evidence, Quantity
from normbench.claims.rules import Cell, Part


def weighted(
    evidence: Evidence, quantity: Quantity, cell: Cell, norms: dict[str, float], what: str, **ends
) -> Part:
    """A weighted sum of a quantity's means.

    Args:
        norms: norm -> weight.
        what: the sum, in words.
        ends: as ``Part`` has them, and its form.
    """
    terms = [(weight, evidence.probed(quantity, norm, *cell)) for norm, weight in norms.items()]
    known = all(sample for _, sample in terms)
    return Part(
        f"{quantity.name}: {what}",
        contrast(*terms) if known else None,
        caveat=evidence.caveats(*((norm, *cell) for norm in norms), probe=quantity.probe),
        **ends,
    )


def difference(
    evidence: Evidence, quantity: Quantity, norm: str, other: str, cell: Cell, **ends
) -> Part:
    """How much more of a quantity a norm has than another."""
    return weighted(evidence, quantity, cell, {norm: 1, other: -1}, f"{norm} − {other}", **ends)


def ratio(
    evidence: Evidence, quantity: Quantity, norm: str, other: str, cell: Cell, **ends
) -> Part:
    """How many times as much of a positive quantity a norm has as another: of geometric means."""
    norms = {norm: 1, other: -1}
    logarithms = weighted(evidence, _log(quantity), cell, norms, f"{norm} / {other}", **ends)
    return _exp(logarithms)


def amount(evidence: Evidence, quantity: Quantity, norm: str, cell: Cell, **ends) -> Part:
    """How much of a positive quantity a norm has: the geometric mean."""
    return _exp(weighted(evidence, _log(quantity), cell, {norm: 1}, norm, **ends))


def _log(quantity: Quantity) -> Quantity:
    def logarithm(number: float) -> float:
        return math.log(number) if number > 0 else math.nan

    diverged = None if quantity.diverged is None else logarithm(quantity.diverged)
    return replace(
        quantity, number=lambda measured: logarithm(quantity.number(measured)), diverged=diverged
    )


def _exp(part: Part) -> Part:
    return replace(part, estimate=part.estimate and part.estimate.exp())
