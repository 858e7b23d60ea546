"""A part of a claim in words: what was measured, and the range in which the claim holds."""

from __future__ import annotations

import math

from normbench.claims.rules import Part


def measured_number(part: Part) -> str:
    """Its number with its interval; empty where nothing was measured."""
    if not part.estimate:
        return ""
    value, low, high = (
        format(number, part.form)
        for number in (part.estimate.value, part.estimate.low, part.estimate.high)
    )
    return f"{value} ({low}, {high})"


def range_of(part: Part) -> str:
    """Where its number is if the claim holds."""
    if math.isinf(part.high):
        return f"> {part.low:.3g}"
    if math.isinf(part.low):
        return f"< {part.high:.3g}"
    return f"{part.low:.3g} to {part.high:.3g}"
