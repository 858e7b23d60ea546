"""What a claim is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from normbench.claims.evidence import Evidence
from normbench.claims.rules import Judgement


@dataclass(frozen=True)
class Claim:
    """A sentence of the articles made checkable.

    title: the sentence, short.
    sentence: in our own words.
    source: where it is from.
    measured: what it is judged by.
    rule: which outcome supports it.
    judge: the rule; decides for one model.
    """

    title: str
    sentence: str
    source: str
    measured: str
    rule: str
    judge: Callable[[Evidence], Judgement]


class Claims(list[Claim]):
    """Claims in the order in which they are told."""

    def claim(self, **words: str) -> Callable[[Callable[[Evidence], Judgement]], None]:
        """Make a claim of the function below."""

        def add(judge: Callable[[Evidence], Judgement]) -> None:
            self.append(Claim(judge=judge, **words))

        return add
