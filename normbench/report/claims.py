"""Claims and their verdicts as markdown: all of them at a glance, then the evidence for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from normbench.analysis.cells import Results
from normbench.analysis.reference import GUESSING
from normbench.claims import CLAIMS
from normbench.claims.evidence import Evidence
from normbench.claims.rules import Judgement, Part
from normbench.drawing.captions import looked_at
from normbench.drawing.text import filled, table

HOW = (
    "A claim is made of parts, each a number and the range that it lies in if the claim holds. A "
    "part is supported if its whole 95% interval lies in that range, contradicted if it lies "
    "outside, undecided if it reaches across an end. A claim is supported if all its parts are, "
    "contradicted if one is. The ranges were fixed before the grid was run.",
    "Numbers are differences between mean accuracies on the validation split after the last epoch, "
    "unless said otherwise; their intervals are Welch's, for as many means as there are, with "
    "Satterthwaite's degrees of freedom. So a part is wrongly supported, or wrongly contradicted, "
    "once in forty times at most; that is not corrected for the number of parts. A run that "
    f"diverged counts as guessing, accuracy {GUESSING}. Cells are written batch size/learning "
    "rate.",
    "Claims about what goes on in training, and about the landscape of the loss, are judged from "
    "what normbench probe measured with its default settings, by rules that were fixed before. "
    "Ratios there are of geometric means; their intervals are Welch's of the logarithms.",
)


def markdown(results: Results, probes: Mapping[str, Results]) -> str:
    """Every claim with its verdict for each model, and what that follows from.

    Args:
        results: of the article's grid.
        probes: what each probe measured.
    """
    models = list(dict.fromkeys(model for model, *_ in results.cells))
    evidence = {model: Evidence.of(results, model, probes) for model in models}
    measured = [m for m in models if any(m in of.records for of in (results, *probes.values()))]
    judged = [(claim, {m: claim.judge(evidence[m]) for m in models}) for claim in CLAIMS]
    parts = ["# The articles' claims", *looked_at(results)]
    parts.append(
        table(
            [
                (str(number), claim.title, *(by_model[m].verdict for m in models))
                for number, (claim, by_model) in enumerate(judged, start=1)
            ],
            ("", "claim", *models),
            "rl" + "l" * len(models),
        )
    )
    parts += map(filled, HOW)
    for number, (claim, by_model) in enumerate(judged, start=1):
        parts.append(f"## {number}. {claim.title}")
        parts.append(filled(claim.sentence))
        words = {"Source": claim.source, "Measured": claim.measured, "Supported if": claim.rule}
        parts.append("\n".join(filled(f"- {k}: {v}", "  ") for k, v in words.items()))
        for model in measured:
            parts += _evidence(model, by_model[model])
    return "\n\n".join(parts) + "\n"


def _evidence(model: str, judgement: Judgement) -> Iterable[str]:
    yield f"**{model}: {judgement.verdict}**"
    if any(part.estimate for part in judgement.parts):
        yield table(
            [_row(part) for part in judgement.parts],
            ("what", "measured (interval)", "holds if", "verdict"),
            "llll",
        )
        caveats = dict.fromkeys(part.caveat for part in judgement.parts if part.caveat)
        if caveats:
            yield filled(f"Incomplete: {'; '.join(caveats)}.")


def _row(part: Part) -> tuple[str, ...]:
    measured = ""
    if part.estimate:
        value, low, high = (
            format(number, part.form)
            for number in (part.estimate.value, part.estimate.low, part.estimate.high)
        )
        measured = f"{value} ({low}, {high})"
    return (part.what, measured, _range(part), part.verdict)


def _range(part: Part) -> str:
    if math.isinf(part.high):
        return f"> {part.low:.3g}"
    if math.isinf(part.low):
        return f"< {part.high:.3g}"
    return f"{part.low:.3g} to {part.high:.3g}"
