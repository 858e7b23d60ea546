"""What a claim of a study is, and parts of it: differences, ratios and amounts of its runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from normbench.analysis.welch import contrast
from normbench.claims.rules import Ends, Judgement, Part
from normbench.studies.found import Found, Measure

Choices = Mapping[str, Any]
Judge = Callable[[Found], Judgement]


@dataclass(frozen=True)
class StudyClaim:
    """A sentence of the source texts that a study decides.

    Attributes:
        name: its identity; no two claims share it.
        title: the sentence, short.
        sentence: in our own words.
        texts: letters of the source texts that say so.
        source: whose finding it is, as far as the texts tell.
        measured: what it is judged by.
        rule: which outcome supports it.
        judge: the rule.
        theirs: what the paper itself measured, where it says so.
    """

    name: str
    title: str
    sentence: str
    texts: str
    source: str
    measured: str
    rule: str
    judge: Judge
    theirs: str = ""


class StudyClaims(list[StudyClaim]):
    """A study's claims, in the order in which they are told."""

    def claim(self, **words: str) -> Callable[[Judge], Judge]:
        """Make a claim of the function below, under its name."""

        def add(judge: Judge) -> Judge:
            self.append(StudyClaim(judge.__name__, judge=judge, **words))
            return judge

        return add


def amount(found: Found, measure: Measure, of: Choices, what: str, **ends: Unpack[Ends]) -> Part:
    """The mean of a measure over runs."""
    return total(found, measure, [(1, of)], what, **ends)


def excess(
    found: Found, measure: Measure, one: Choices, other: Choices, what: str, **ends: Unpack[Ends]
) -> Part:
    """One mean less another."""
    return total(found, measure, [(1, one), (-1, other)], what, **ends)


def ratio(
    found: Found, measure: Measure, one: Choices, other: Choices, what: str, **ends: Unpack[Ends]
) -> Part:
    """One geometric mean over another."""
    return total(found, _log(measure), [(1, one), (-1, other)], what, **ends).exp(".3g")


def times(found: Found, measure: Measure, of: Choices, what: str, **ends: Unpack[Ends]) -> Part:
    """The geometric mean of a positive measure over runs."""
    return total(found, _log(measure), [(1, of)], what, **ends).exp(".3g")


def total(
    found: Found,
    measure: Measure,
    terms: Sequence[tuple[float, Choices]],
    what: str,
    **ends: Unpack[Ends],
) -> Part:
    """A weighted sum of means."""
    samples = [(weight, found.sample(measure, **of)) for weight, of in terms]
    diverged = sum(found.diverged(**of) for _, of in terms)
    caveat = f"{what}: {diverged} runs diverged" if diverged else ""
    form = "+.3g" if len(terms) > 1 else ".3g"
    return Part(f"{measure.name}: {what}", contrast(*samples), caveat=caveat, form=form, **ends)


def _log(measure: Measure) -> Measure:
    def logarithm(number: float | None) -> float | None:
        return math.log(number) if number is not None and number > 0 else None

    return replace(
        measure,
        number=lambda record: logarithm(measure.number(record)),
        diverged=logarithm(measure.diverged),
    )
