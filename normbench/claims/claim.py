"""What a claim is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from normbench.claims.evidence import Evidence
from normbench.claims.rules import Judgement

Judge = Callable[[Evidence], Judgement]


@dataclass(frozen=True)
class Claim:
    """A sentence of the articles made checkable.

    Attributes:
        name: its identity, the same whatever its words and its number are; no two claims share it.
        title: the sentence, short.
        sentence: in our own words.
        source: where it is from.
        measured: what it is judged by.
        rule: which outcome supports it.
        judge: the rule; decides for one model.
        stricter: what the rule asks for that the sentence does not say; empty where it is no more.
        written_afterwards: whether the rule was written when the numbers were known.
        texts: letters of the source texts that say so, as studies have them.
    """

    name: str
    title: str
    sentence: str
    source: str
    measured: str
    rule: str
    judge: Judge
    stricter: str = ""
    written_afterwards: bool = False
    texts: str = ""


class Claims(list[Claim]):
    """Claims in the order in which they are told.

    Args:
        written_afterwards: whether their rules were written when the numbers were known.
    """

    def __init__(self, written_afterwards: bool = False):
        super().__init__()
        self.written_afterwards = written_afterwards

    def claim(self, **words: str) -> Callable[[Judge], Judge]:
        """Make a claim of the function below, under its name."""

        def add(judge: Judge) -> Judge:
            late = self.written_afterwards
            self.append(Claim(judge.__name__, judge=judge, written_afterwards=late, **words))
            return judge

        return add
