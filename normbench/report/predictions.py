"""What calibrated protocols predicted of the article's cells that they were not chosen by."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from normbench.analysis.calibrations import Calibration
from normbench.analysis.cells import Results
from normbench.analysis.comparison import Row
from normbench.drawing.captions import looked_at
from normbench.drawing.text import filled
from normbench.report.pairs import AGREEMENT, cell_table, ranks, summary

INTRODUCTION = (
    "The article does not state its protocol, so one was chosen by some of its cells (results/"
    "calibration.md). Its other cells were then predicted. What came of it is told here, and stays "
    "as it is: by the protocol as it was then, whatever the default protocol is now."
)


def markdown(found: Iterable[tuple[Calibration, Results, Sequence[Row]]]) -> str:
    """The page.

    Args:
        found: calibrations, what was measured of each, and its cells beside the article's.
    """
    parts = ["# Predictions", filled(INTRODUCTION)]
    for calibration, results, rows in found:
        parts += _of_one(calibration, results, [row for row in rows if row.accuracy.apart])
    return "\n\n".join(parts) + "\n"


def _of_one(calibration: Calibration, results: Results, rows: Sequence[Row]) -> Iterable[str]:
    predicted = [row for row in rows if not row.calibrated]
    fitted = [row for row in rows if row.calibrated]
    furthest = _furthest_norm(predicted)
    others = [row for row in predicted if row.cell.norm != furthest]
    yield f"## The {calibration.name} protocol"
    yield filled(calibration.about)
    yield from looked_at(results, {row.cell.model for row in rows})
    kinds = [
        ("predicted", predicted),
        (f"predicted, without {furthest}", others),
        ("calibrated on", fitted),
    ]
    yield summary([(name, of) for name, of in kinds if of])
    yield filled(
        f"Mean and largest absolute difference. Without {furthest}: the norm that is furthest off, "
        f"left out to see the others. {AGREEMENT}"
    )
    yield "### The order of norms"
    yield from ranks(rows)
    for name, of in (("Predicted", predicted), ("Calibrated on", fitted)):
        if of:
            yield f"### {name}"
            yield cell_table(of, norms=True)


def _furthest_norm(rows: Iterable[Row]) -> str:
    """The norm whose cells are furthest from the article's, in the mean."""
    apart: dict[str, list[float]] = {}
    for row in rows:
        if row.accuracy.apart:
            apart.setdefault(row.cell.norm, []).append(abs(row.accuracy.apart.value))
    return max(apart, key=lambda norm: statistics.fmean(apart[norm]))
