"""Claims and their verdicts as markdown: all of them at a glance, then the evidence for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from normbench.analysis.cells import Results
from normbench.analysis.comparison import not_comparable
from normbench.analysis.reference import DECIMALS, GUESSING, RUNS, article_cells
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
from normbench.drawing.captions import looked_at
from normbench.drawing.text import filled, table
from normbench.report.parts import measured_number, range_of
from normbench.report.studies import TEXTS, Studied, of_studies, verdicts_by_text

LATE = "†"  # marks a rule that was written when the numbers were known
HOW = (
    "A claim is made of parts, each a number and the range that it lies in if the claim holds. A "
    "part is supported if its whole 95% interval lies in that range, contradicted if it lies "
    "outside, undecided if it reaches across an end. A claim is supported if all its parts are, "
    "contradicted if one is. The ranges were fixed before anything was measured, but for those of "
    f"claims that are marked {LATE}: their rules were written when their numbers were known, so "
    "that their verdicts say what was measured, and put nothing to the test.",
    "Numbers are differences between mean accuracies on the validation split after the last epoch, "
    "unless said otherwise; their intervals are Welch's, for as many means as there are, with "
    "Satterthwaite's degrees of freedom. So a part is wrongly supported, or wrongly contradicted, "
    "once in forty times at most; that is not corrected for the number of parts. A run that "
    f"diverged counts as guessing, accuracy {GUESSING}. Cells are written batch size/learning "
    "rate.",
    "Claims about what goes on in training, and about the landscape of the loss, are judged from "
    "what normbench probe measured with its default settings. Ratios there are of geometric means; "
    "their intervals are Welch's of the logarithms.",
)
OF_THE_ARTICLE = (
    f"The article's: what its own tables say (mean and standard deviation of {RUNS} runs, rounded "
    f"to {DECIMALS} decimals), judged by the same rule, where they have the numbers. Its sentence "
    "may be undecided by its own numbers, or be contradicted: where the rule asks for more than "
    "the sentence says, which is told beside the rule, or where so few runs cannot tell. Beside an "
    "undecided one of its numbers stands whether the number itself is inside of the range."
)


def markdown(
    results: Results, probes: Mapping[str, Results], studied: Sequence[Studied] = ()
) -> str:
    """Every claim with its verdict for each model, and what that follows from.

    Args:
        results: of the article's grid.
        probes: what each probe measured.
        studied: what the studies came to.
    """
    models = list(dict.fromkeys(model for model, *_ in results.cells))
    evidence = {model: Evidence.of(results, model, probes) for model in models}
    article = _article(results, models)
    measured = [m for m in models if any(m in of.records for of in (results, *probes.values()))]
    parts = ["# The articles' claims", _summary(evidence, studied), *looked_at(results)]
    parts.append(_at_a_glance(evidence, article))
    parts += map(filled, HOW)
    parts += [filled(OF_THE_ARTICLE)] if article else []
    for number, claim in enumerate(CLAIMS, start=1):
        parts.append(f"## {number}. {_title(claim)}")
        parts.append(filled(claim.sentence))
        words = {"Source": claim.source, "Measured": claim.measured, "Supported if": claim.rule}
        if claim.written_afterwards:
            words["Supported if"] += " (Rule written after the measurement.)"
        if claim.stricter:
            words["Stricter than the sentence"] = claim.stricter
        parts.append("\n".join(filled(f"- {k}: {v}", "  ") for k, v in words.items()))
        for model in measured:
            theirs = claim.judge(article[model]) if model in article else None
            parts += _evidence(model, claim.judge(evidence[model]), theirs)
    parts += of_studies(studied)
    return "\n\n".join(parts) + "\n"


def _summary(evidence: Mapping[str, Evidence], studied: Sequence[Studied]) -> str:
    """How many claims are supported, and how many are not: one screen."""
    judged = {
        f"the article's grid and probes, {model}": [claim.judge(of).verdict for claim in CLAIMS]
        for model, of in evidence.items()
    }
    judged |= {f"studies of {TEXTS[text]}": of for text, of in verdicts_by_text(studied).items()}
    verdicts = SUPPORTED, CONTRADICTED, UNDECIDED, NOT_MEASURED
    rows = [
        [what, *(str(of.count(verdict)) for verdict in verdicts), str(len(of))]
        for what, of in judged.items()
    ]
    return table(rows, ["claims", *verdicts, "all"], "lrrrrr")


def _article(results: Results, models: Iterable[str]) -> dict[str, ArticleEvidence]:
    """Of models whose runs can be set beside the article's, what its tables say, if they do."""
    left_out = not_comparable(results)
    found = {m: ArticleEvidence.of_tables(m, article_cells()) for m in models if m not in left_out}
    return {model: of for model, of in found.items() if of.accuracies}


def _at_a_glance(evidence: Mapping[str, Evidence], article: Mapping[str, ArticleEvidence]) -> str:
    headings = ["", "claim"]
    for model in evidence:
        headings += [model, "the article's"] if model in article else [model]
    rows = []
    for number, claim in enumerate(CLAIMS, start=1):
        row = [str(number), _title(claim)]
        for model, of_model in evidence.items():
            row.append(claim.judge(of_model).verdict)
            if model in article:
                verdict = claim.judge(article[model]).verdict
                row.append("–" if verdict == NOT_MEASURED else verdict)
        rows.append(row)
    return table(rows, headings, "r" + "l" * (len(headings) - 1))


def _title(claim: Claim) -> str:
    return f"{claim.title} {LATE}" if claim.written_afterwards else claim.title


def _evidence(model: str, ours: Judgement, article: Judgement | None) -> Iterable[str]:
    """What a verdict follows from, part by part, and beside it the article's own numbers."""
    theirs = {part.what: part for part in article.parts if part.estimate} if article else {}
    verdict = f"**{model}: {ours.verdict}**"
    if article and article.verdict != NOT_MEASURED:
        verdict += f"; the article's own numbers: {article.verdict}"
    yield verdict
    if any(part.estimate for part in ours.parts) or theirs:
        headings = ["what", "holds if", "measured (interval)", "verdict"]
        headings += ["article's (interval)", "verdict"] if theirs else []
        rows = []
        for part in ours.parts:
            row = [part.what, range_of(part), measured_number(part), part.verdict]
            if theirs:
                own = theirs.get(part.what)
                row += [measured_number(own), _verdict_by_value(own)] if own else ["", ""]
            rows.append(row)
        yield table(rows, headings, "l" * len(headings))
        caveats = dict.fromkeys(part.caveat for part in ours.parts if part.caveat)
        if caveats:
            yield filled(f"Incomplete: {'; '.join(caveats)}.")


def _verdict_by_value(part: Part) -> str:
    """The verdict, and where nothing is decided, on which side the number itself is."""
    if part.verdict != UNDECIDED or not part.estimate:
        return part.verdict
    inside = part.low < part.estimate.value < part.high
    return f"{UNDECIDED}, {'inside' if inside else 'outside'}"
