"""Claims and their verdicts, with what each follows from: numbers, ranges, and the very records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from normbench.analysis.cells import Results
from normbench.analysis.comparison import not_comparable
from normbench.analysis.reference import article_cells
from normbench.analysis.welch import Estimate
from normbench.claims import CLAIMS
from normbench.claims.claim import Claim
from normbench.claims.evidence import ArticleEvidence, Evidence
from normbench.claims.rules import (
    CONTRADICTED,
    NOT_MEASURED,
    SUPPORTED,
    UNDECIDED,
    Judgement,
    Part,
)
from normbench.claims.studies import StudyClaim
from normbench.report.studies import TEXTS

VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURED)
MARGIN = 0.06  # of a strip, on both sides of what is in it


class Noted(dict[Any, Any]):
    """A mapping that notes which of its entries were looked at."""

    def __init__(self, entries: Mapping[Any, Any]):
        super().__init__(entries)
        self.seen: list[Any] = []

    def get(self, key: Any, default: Any = None) -> Any:
        self.seen.append(key)
        return super().get(key, default)

    def __getitem__(self, key: Any) -> Any:
        self.seen.append(key)
        return super().__getitem__(key)

    def items(self) -> Any:
        self.seen += super().keys()
        return super().items()


@dataclass(frozen=True)
class Strip:
    """Where on a strip, in percent of its width, the things are that a part is judged by.

    Attributes:
        band: ends of the range in which the claim holds.
        ours, theirs: low end, number and high end; None where there is none.
        zero: where no difference is (0, or 1 of ratios); None if that is not on the strip.
        open: whether the band goes on at its low and at its high end.
    """

    band: tuple[float, float]
    ours: tuple[float, float, float]
    theirs: tuple[float, float, float] | None
    zero: float | None
    open: tuple[bool, bool]


@dataclass(frozen=True)
class Piece:
    """A part of a claim, ours and the article's."""

    part: Part
    theirs: Part | None
    strip: Strip | None


@dataclass(frozen=True)
class Verdict:
    """A claim, judged for one model.

    Attributes:
        model: or whatever else was judged.
        verdict: ours.
        theirs: by the article's own numbers; empty where it has none.
        pieces: the parts.
        caveats: what a reader must know of the runs.
        records: kind (``records`` or ``probes/PROBE``) -> keys of what it was judged by.
    """

    model: str
    verdict: str
    theirs: str
    pieces: tuple[Piece, ...]
    caveats: tuple[str, ...]
    records: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdicts.

    Attributes:
        number: what it is called by, such as 7, or S17.1 of a study.
        claim: as it is written.
        verdicts: for each model that has been measured, or one that says that nothing was.
        theirs: what the source itself measured, in words.
        stricter: what the rule asks for that the sentence does not say.
        late: whether the rule was written when the numbers were known.
        texts: letters of the texts that say so.
        command: that measures what it is judged by, where one does.
    """

    number: str
    claim: Claim | StudyClaim
    verdicts: tuple[Verdict, ...]
    theirs: str = ""
    stricter: str = ""
    late: bool = False
    texts: str = ""
    command: str = ""

    @property
    def verdict(self) -> str:
        """Of the first model that decides anything."""
        decided = [v.verdict for v in self.verdicts if v.verdict != NOT_MEASURED]
        return decided[0] if decided else NOT_MEASURED


@dataclass
class Group:
    """Claims of one source text.

    Attributes:
        title: of the text.
        claims: that are told with it, in their order: those that no text before it makes.
        all: that it makes, told with another text or not.
    """

    title: str
    claims: list[Judged] = field(default_factory=list)
    all: list[Judged] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many of all have each verdict."""
        return count(self.all)


def count(judged: Iterable[Judged]) -> dict[str, int]:
    """How many claims have each verdict."""
    found = Counter(one.verdict for one in judged)
    return {verdict: found[verdict] for verdict in VERDICTS}


def judge(results: Results, probes: Mapping[str, Results]) -> list[Judged]:
    """Every claim about the article's grid, judged by what was measured.

    Args:
        results: of the article's grid.
        probes: what each probe measured.
    """
    models = list(dict.fromkeys(model for model, *_ in results.cells))
    evidence = {model: Evidence.of(results, model, probes) for model in models}
    article = _article(results, models)
    measured = [m for m in models if any(m in of.records for of in (results, *probes.values()))]
    return [
        Judged(
            str(number),
            claim,
            tuple(_verdict(claim, evidence[m], article.get(m)) for m in measured or models[:1]),
            stricter=claim.stricter,
            late=claim.written_afterwards,
            texts=claim.texts,
        )
        for number, claim in enumerate(CLAIMS, start=1)
    ]


def grouped(judged: Iterable[Judged]) -> list[Group]:
    """Claims by source text; what no text is named for comes last."""
    found = {letter: Group(title) for letter, title in TEXTS.items()}
    others = Group("Other texts")
    for one in judged:
        known = [found[letter] for letter in one.texts if letter in found] or [others]
        known[0].claims.append(one)
        for group in known:
            group.all.append(one)
    return [group for group in (*found.values(), others) if group.all]


def strip(part: Part, theirs: Part | None = None) -> Strip | None:
    """Where to draw a part's interval and range; None where nothing was measured."""
    if part.estimate is None:
        return None
    estimates = [part.estimate, *([theirs.estimate] if theirs and theirs.estimate else [])]
    ends = [end for end in (part.low, part.high) if math.isfinite(end)]
    numbers = [n for e in estimates for n in (e.low, e.value, e.high)] + ends
    ratio = part.ratio and min(numbers) > 0
    scale = math.log if ratio else float
    finite = [scale(number) for number in numbers if math.isfinite(number)]
    neutral = scale(1.0 if ratio else 0.0)
    low, high = min(finite), max(finite)
    if neutral < low and low - neutral < high - low or low <= neutral <= high:
        low, high = min(low, neutral), max(high, neutral)
    room = MARGIN * ((high - low) or 1.0)
    low, high = low - room, high + room

    def place(number: float) -> float:
        if math.isinf(number):
            return 0.0 if number < 0 else 100.0
        return round(100 * min(max((scale(number) - low) / (high - low), 0.0), 1.0), 2)

    def places(estimate: Estimate) -> tuple[float, float, float]:
        return place(estimate.low), place(estimate.value), place(estimate.high)

    return Strip(
        band=(place(part.low), place(part.high)),
        ours=places(part.estimate),
        theirs=places(theirs.estimate) if theirs and theirs.estimate else None,
        zero=place(1.0 if ratio else 0.0) if low <= neutral <= high else None,
        open=(math.isinf(part.low), math.isinf(part.high)),
    )


def pieces(ours: Judgement, theirs: Judgement | None = None) -> tuple[Piece, ...]:
    """Part by part, ours and the article's."""
    known = {part.what: part for part in theirs.parts if part.estimate} if theirs else {}
    return tuple(
        Piece(part, known.get(part.what), strip(part, known.get(part.what))) for part in ours.parts
    )


def _verdict(claim: Claim, evidence: Evidence, article: ArticleEvidence | None) -> Verdict:
    cells, probes = Noted(evidence.cells), Noted({k: Noted(v) for k, v in evidence.probes.items()})
    ours = claim.judge(Evidence(evidence.model, cells, probes, evidence.norms))
    theirs = claim.judge(article) if article else None
    said = theirs.verdict if theirs and theirs.verdict != NOT_MEASURED else ""
    return Verdict(
        model=evidence.model,
        verdict=ours.verdict,
        theirs=said,
        pieces=pieces(ours, theirs),
        caveats=tuple(dict.fromkeys(part.caveat for part in ours.parts if part.caveat)),
        records=dict(_records(cells, probes)),
    )


def _records(cells: Noted, probes: Noted) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What was looked at."""
    for kind, among in (("records", cells), *((f"probes/{p}", c) for p, c in dict.items(probes))):
        found = [dict.get(among, key) for key in dict.fromkeys(among.seen)]
        keys = sorted({record["key"] for cell in found if cell for record in cell.records})
        if keys:
            yield kind, tuple(keys)


def _article(results: Results, models: Iterable[str]) -> dict[str, ArticleEvidence]:
    """Of models whose runs can be set beside the article's, what its tables say, if they do."""
    left_out = not_comparable(results)
    found = {m: ArticleEvidence.of_tables(m, article_cells()) for m in models if m not in left_out}
    return {model: of for model, of in found.items() if of.accuracies}
