"""Ours beside the article's: cell by cell, and in sum, as markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence

from normbench.analysis.cells import Results
from normbench.analysis.comparison import Pair, Row, not_comparable
from normbench.drawing.captions import looked_at
from normbench.drawing.text import filled, table
from normbench.report.pairs import AGREEMENT, KINDS, cell_table, mark, ranks, summary

FITTED = "ᶜ"  # marks a cell that decided on the protocol


def markdown(results: Results, rows: Sequence[Row]) -> str:
    """The whole comparison, summary first."""
    parts = ["# Ours and the article's", *looked_at(results), *_left_out(results)]
    for model in results.records:
        parts += _at_a_glance(model, [row for row in rows if row.cell.model == model])
    if any(row.accuracy.apart for row in rows):
        parts += ["## In sum", summary(_kinds(rows)), *map(filled, _in_words(rows))]
        parts += ["## Ranks of norms within a cell", *ranks(rows)]
    else:
        parts += ["No cell has a number of ours and of the article's: there is nothing to compare."]
    left_out = not_comparable(results)
    for model in dict.fromkeys(row.cell.model for row in rows):
        compared = model not in left_out
        parts += _model(model, [row for row in rows if row.cell.model == model], compared)
    return "\n\n".join(parts) + "\n"


def _left_out(results: Results) -> Iterable[str]:
    for model, reasons in not_comparable(results).items():
        if model in results.records:
            yield filled(
                f"The article's numbers of {model} are left out, as these runs are not like its "
                f"own: {'; '.join(reasons)}."
            )


def _at_a_glance(model: str, rows: Sequence[Row]) -> Iterable[str]:
    places = list(dict.fromkeys((row.cell.batch_size, row.cell.lr) for row in rows))
    lines: dict[str, dict[tuple[int, float], str]] = {}
    for row in rows:
        lines.setdefault(row.cell.norm, {})[row.cell.batch_size, row.cell.lr] = _in_short(row)
    yield f"## {model} at a glance"
    yield table(
        [(norm, *(of.get(place, "") for place in places)) for norm, of in lines.items()],
        ("norm", *(f"{size} / {lr:g}" for size, lr in places)),
        "l" * (1 + len(places)),
    )
    words = ["Accuracy by batch size / learning rate"]
    if any(row.accuracy.article for row in rows):
        words.append(
            "in brackets the article's, and whether ours can be told apart from it (✗) or not (✓)"
        )
    if any(row.calibrated and row.accuracy.apart for row in rows):
        words.append(
            f"{FITTED}: the protocol was chosen by this cell, so that to agree there proves nothing"
        )
    yield filled(f"{'; '.join(words)}.")


def _in_short(row: Row) -> str:
    ours, article = row.accuracy.ours, row.accuracy.article
    shown = f"{ours.mean:.2f}" if ours else "–"
    if article:
        shown += f" ({article.mean:.2f})"
    if article and ours:
        shown += f" {mark(row.accuracy)}{FITTED if row.calibrated else ''}"
    return shown


def _kinds(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """What to sum up: of each model what was calibrated on and what was predicted, and all."""
    kinds = [
        (
            f"{model}, {what}",
            [r for r in rows if (r.cell.model, r.calibrated) == (model, calibrated)],
        )
        for model in dict.fromkeys(row.cell.model for row in rows)
        for calibrated, what in KINDS.items()
    ]
    kinds = [(name, of) for name, of in kinds if any(row.accuracy.apart for row in of)]
    return [*kinds, ("all", list(rows))] if len(kinds) > 1 else kinds


def _in_words(rows: Sequence[Row]) -> Iterable[str]:
    """What the summary means, and what it can and cannot tell."""
    furthest, passing = [], {}
    for name, pairs in (
        ("accuracy", [(row.cell, row.accuracy) for row in rows]),
        ("loss", [(row.cell, row.loss) for row in rows]),
    ):
        compared = [
            (pair.apart, cell, pair.ours, pair.article)
            for cell, pair in pairs
            if pair.apart and pair.ours and pair.article
        ]
        if compared:
            _, cell, ours, article = max(compared, key=lambda of: abs(of[0].value))
            furthest.append(f"in {name} {cell} ({ours.mean:.2f} for {article.mean:.2f})")
            passing[name] = statistics.median(apart.half_width for apart, *_ in compared)
    yield f"Mean and largest absolute difference. Furthest apart: {', '.join(furthest)}."
    lacking = [row.cell for row in rows if row.accuracy.article and not row.accuracy.ours]
    not_run = [cell for cell in lacking if not cell.records]
    diverged = [str(cell) for cell in lacking if cell.records]
    if not_run:
        yield f"Cells of the article's that were not run here: {len(not_run)}."
    if diverged:
        yield f"Cells of the article's that diverged here: {', '.join(diverged)}."
    yield AGREEMENT
    yield (
        f"What that can tell: in half of the cells, spreads being what they are, a difference in "
        f"accuracy passes for agreement up to {passing['accuracy']:.2f}"
        + (
            f", a ratio of losses up to {math.exp(passing['loss']):.2f}"
            if "loss" in passing
            else ""
        )
        + ". So agreement means not told apart by so few runs, not equal; and about one in "
        "twenty cells that are equal is called different (✗) by chance."
    )


def _model(model: str, rows: Sequence[Row], compared: bool) -> Iterable[str]:
    """A table for each norm that one side has numbers of; the others are named."""
    nothing = "not known from the article" if compared else "not compared with the article"
    norms: dict[str, list[Row]] = {}
    for row in rows:
        norms.setdefault(row.cell.norm, []).append(row)
    unknown = []
    for norm, of_norm in norms.items():
        run = any(row.cell.records for row in of_norm)
        published = any(row.accuracy.article for row in of_norm)
        if not run and not published:
            unknown.append(norm)
            continue
        kind = KINDS[of_norm[0].calibrated]
        yield f"## {model}, {norm} ({kind if published else nothing})"
        yield cell_table(of_norm)
        caveats = [
            f"bs={row.cell.batch_size} lr={row.cell.lr:g}: {row.cell.caveat}"
            for row in of_norm
            if row.cell.records and row.cell.caveat
        ]
        if caveats:
            yield filled(f"Incomplete: {', '.join(caveats)}.")
    if unknown:
        yield f"## {model}, not run here and {nothing}"
        yield filled(f"{', '.join(unknown)}.")


def as_csv(rows: Iterable[Row]) -> str:
    """One line a cell; numbers that are not known are left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("model", "norm", "batch_size", "lr", "calibrated_on", "runs", "diverged"),
            *(
                f"{measure}{what}"
                for measure, apart in (("accuracy", "difference"), ("loss", "log_ratio"))
                for what in (
                    *("_mean", "_std", "_article_mean", "_article_std"),
                    *(f"_{apart}", f"_{apart}_half_width", "_agrees"),
                )
            ),
        ]
    )
    for row in rows:
        cell = row.cell
        finished = len(cell.finished)
        writer.writerow(
            [
                *(cell.model, cell.norm, cell.batch_size, f"{cell.lr:g}"),
                *(_yes_or_no(row.calibrated), finished, len(cell.records) - finished),
                *_values(row.accuracy),
                *_values(row.loss),
            ]
        )
    return text.getvalue()


def _values(pair: Pair) -> list[str]:
    numbers = [
        *((sample and sample.mean, sample and sample.std) for sample in (pair.ours, pair.article)),
        (pair.apart and pair.apart.value, pair.apart and pair.apart.half_width),
    ]
    agrees = _yes_or_no(pair.agrees if pair.apart else None)
    return [*("" if n is None else f"{n:.4f}" for pair in numbers for n in pair), agrees]


def _yes_or_no(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]
