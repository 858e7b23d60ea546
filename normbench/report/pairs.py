"""Tables that set ours beside the article's, which several pages are made of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from normbench.analysis.comparison import ENOUGH_TO_RANK, Pair, Row, rank_correlations
from normbench.drawing.text import filled, table

# Of cells, by what they were to the protocol; None: it was not chosen by the article's cells.
KINDS = {True: "calibrated on", False: "predicted", None: "compared"}
AGREEMENT = (
    "A cell agrees (✓) where the 95% interval of the difference holds 0: Welch's t on means "
    "and standard deviations, with the article's rounding to two decimals as a further error. "
    "Losses are compared as logarithms; a ratio is ours over the article's."
)


def mark(pair: Pair) -> str:
    """Whether ours can be told apart from the article's or not."""
    return "✓" if pair.agrees else "✗"


def summary(kinds: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """Of named rows how many agree, mean and largest absolute difference."""
    lines = []
    for name, of in kinds:
        lines.append((name, "accuracy", *_in_sum([row.accuracy for row in of])))
        lines.append(("", "log loss", *_in_sum([row.loss for row in of])))
    return table(lines, ("cells", "", "agree", "mean", "largest"), "llrrr")


def _in_sum(pairs: Sequence[Pair]) -> tuple[str, str, str]:
    apart = [abs(pair.apart.value) for pair in pairs if pair.apart]
    if not apart:
        return ("–",) * 3
    agree = sum(pair.agrees for pair in pairs)
    return f"{agree} of {len(apart)}", f"{statistics.fmean(apart):.3f}", f"{max(apart):.3f}"


def ranks(rows: Sequence[Row]) -> Iterable[str]:
    """How alike norms rank within each cell, and apart from that, those that were predicted."""
    of_all = rank_correlations(rows)
    if all(correlation is None for _, correlation in of_all.values()):
        most = max(norms for norms, _ in of_all.values())
        yield filled(
            f"Not enough norms to correlate: {most} of a cell have both numbers, and it takes "
            f"{ENOUGH_TO_RANK}."
        )
        return
    of_predicted = rank_correlations(row for row in rows if row.calibrated is False)
    headings = ["model", "bs", "lr", "norms", "Spearman"]
    headings += ["predicted", "Spearman"] if of_predicted else []
    lines = []
    for cell, (norms, correlation) in of_all.items():
        model, batch_size, lr = cell
        line = [model, str(batch_size), f"{lr:g}", str(norms), _correlation(correlation)]
        if of_predicted:
            few, of_few = of_predicted.get(cell, (0, None))
            line += [str(few), _correlation(of_few)]
        lines.append(line)
    yield table(lines, headings, "l" + "r" * (len(headings) - 1))
    yield filled(
        "Spearman's rank correlation of mean accuracies, ours and the article's: of all norms"
        + (", and of those whose cells were predicted" if of_predicted else "")
        + f". From {ENOUGH_TO_RANK} norms on."
    )


def _correlation(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def cell_table(rows: Sequence[Row], norms: bool = False) -> str:
    """A line a cell: accuracy, loss and how far they are from the article's; with norms, of which.

    Ends of the article's tables that are not known are dashes.
    """
    headings = ["bs", "lr", "Accuracy", "article's", "difference", "Loss", "article's", "ratio"]
    lines = [[row.cell.norm, *_line(row)] if norms else [*_line(row)] for row in rows]
    return table(lines, ["norm"] * norms + headings, "l" * norms + "rrllllll")


def _line(row: Row) -> tuple[str, ...]:
    cell, accuracy, loss = row.cell, row.accuracy, row.loss
    missing = "diverged" if cell.records else "not run"
    apart = ratio = ""
    if accuracy.apart:
        value = round(accuracy.apart.value, 2) + 0.0  # no -0.00
        apart = f"{value:+.2f} ± {accuracy.apart.half_width:.2f} {mark(accuracy)}"
    if loss.apart:
        ratio = f"{math.exp(loss.apart.value):.2f} {mark(loss)}"
    return (
        *(str(cell.batch_size), f"{cell.lr:g}"),
        *(str(accuracy.ours or missing), str(accuracy.article or "–"), apart),
        *(str(loss.ours or missing), str(loss.article or "–"), ratio),
    )
