"""Ours beside the article's: cell by cell, and in sum, as markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Sequence

from normbench.analysis.cells import Results
from normbench.analysis.comparison import (
    ENOUGH_TO_RANK,
    Pair,
    Row,
    not_comparable,
    rank_correlations,
)
from normbench.drawing.captions import looked_at
from normbench.drawing.text import filled, table


def markdown(results: Results, rows: Sequence[Row]) -> str:
    """The whole comparison, summary first."""
    parts = ["# Ours and the article's", *looked_at(results), *_left_out(results)]
    for model in results.records:
        parts += _at_a_glance(model, [row for row in rows if row.cell.model == model])
    if any(row.accuracy.apart for row in rows):
        parts += ["## In sum", _summary(rows), *map(filled, _in_words(rows))]
        parts += ["## Ranks of norms within a cell", *_ranks(rows)]
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
        ours, article = row.accuracy.ours, row.accuracy.article
        shown = f"{ours.mean:.2f}" if ours else "–"
        if article:
            mark = f" {_mark(row.accuracy)}" if ours else ""
            shown += f" ({article.mean:.2f}){mark}"
        lines.setdefault(row.cell.norm, {})[row.cell.batch_size, row.cell.lr] = shown
    yield f"## {model} at a glance"
    yield table(
        [(norm, *(of.get(place, "") for place in places)) for norm, of in lines.items()],
        ("norm", *(f"{size} / {lr:g}" for size, lr in places)),
        "l" * (1 + len(places)),
    )
    yield filled(
        "Accuracy by batch size / learning rate"
        + (
            "; in brackets the article's, and whether ours can be told apart from it (✗) or not "
            "(✓)."
            if any(row.accuracy.article for row in rows)
            else "."
        )
    )


def _summary(rows: Sequence[Row]) -> str:
    kinds = [
        (
            f"{model}, {what}",
            [r for r in rows if (r.cell.model, r.calibrated) == (model, calibrated)],
        )
        for model in dict.fromkeys(row.cell.model for row in rows)
        for calibrated, what in ((True, "calibrated on"), (False, "predicted"))
    ]
    kinds = [(name, of) for name, of in kinds if any(row.accuracy.apart for row in of)]
    if len(kinds) > 1:
        kinds.append(("all", list(rows)))
    lines = []
    for name, of in kinds:
        lines.append((name, "accuracy", *_in_sum([row.accuracy for row in of])))
        lines.append(("", "log loss", *_in_sum([row.loss for row in of])))
    return table(lines, ("cells", "", "agree", "mean", "largest"), "llrrr")


def _in_sum(pairs: Sequence[Pair]) -> tuple[str, str, str]:
    """How many agree, mean and largest absolute difference."""
    apart = [abs(pair.apart.value) for pair in pairs if pair.apart]
    if not apart:
        return ("–",) * 3
    agree = sum(pair.agrees for pair in pairs)
    return f"{agree} of {len(apart)}", f"{statistics.fmean(apart):.3f}", f"{max(apart):.3f}"


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
    yield (
        "A cell agrees (✓) where the 95% interval of the difference holds 0: Welch's t on means "
        "and standard deviations, with the article's rounding to two decimals as a further error. "
        "Losses are compared as logarithms; a ratio is ours over the article's."
    )
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


def _ranks(rows: Sequence[Row]) -> Iterable[str]:
    of_all = rank_correlations(rows)
    of_predicted = rank_correlations(row for row in rows if not row.calibrated)
    if all(correlation is None for _, correlation in of_all.values()):
        most = max(norms for norms, _ in of_all.values())
        yield filled(
            f"Not enough norms to correlate: {most} of a cell have both numbers, and it takes "
            f"{ENOUGH_TO_RANK}."
        )
        return
    lines = []
    for cell, (norms, correlation) in of_all.items():
        model, batch_size, lr = cell
        few, of_few = of_predicted.get(cell, (0, None))
        ranks = (str(norms), _correlation(correlation), str(few), _correlation(of_few))
        lines.append((model, str(batch_size), f"{lr:g}", *ranks))
    yield table(
        lines, ("model", "bs", "lr", "norms", "Spearman", "predicted", "Spearman"), "lrrrrrr"
    )
    yield filled(
        "Spearman's rank correlation of mean accuracies, ours and the article's: of all norms, and "
        f"of those that the protocol was not calibrated on. From {ENOUGH_TO_RANK} norms on."
    )


def _correlation(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


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
        kind = "calibrated on" if of_norm[0].calibrated else "predicted"
        yield f"## {model}, {norm} ({kind if published else nothing})"
        yield table(
            [_line(row) for row in of_norm],
            ("bs", "lr", "Accuracy", "article's", "difference", "Loss", "article's", "ratio"),
            "rrllllll",
        )
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


def _line(row: Row) -> tuple[str, ...]:
    cell, accuracy, loss = row.cell, row.accuracy, row.loss
    missing = "diverged" if cell.records else "not run"
    apart = ratio = ""
    if accuracy.apart:
        value = round(accuracy.apart.value, 2) + 0.0  # no -0.00
        apart = f"{value:+.2f} ± {accuracy.apart.half_width:.2f} {_mark(accuracy)}"
    if loss.apart:
        ratio = f"{math.exp(loss.apart.value):.2f} {_mark(loss)}"
    return (
        *(str(cell.batch_size), f"{cell.lr:g}"),
        *(str(accuracy.ours or missing), str(accuracy.article or "–"), apart),
        *(str(loss.ours or missing), str(loss.article or "–"), ratio),
    )


def _mark(pair: Pair) -> str:
    return "✓" if pair.agrees else "✗"


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
                *("yes" if row.calibrated else "no", finished, len(cell.records) - finished),
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
    agrees = ("yes" if pair.agrees else "no") if pair.apart else ""
    return [*("" if n is None else f"{n:.4f}" for pair in numbers for n in pair), agrees]
