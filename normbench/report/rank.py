"""Norms ordered by accuracy, what is certain of it, what else they cost: a page and two CSVs."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from normbench.analysis.cells import Cell
from normbench.analysis.games_howell import MOST_RUNS, POWER, Apart
from normbench.analysis.groups import provenance
from normbench.analysis.ranking import Comparison, Place, Ranking, accuracies, accuracy
from normbench.analysis.tuning import Tuning
from normbench.analysis.welch import ALPHA, Sample
from normbench.drawing.text import filled, table
from normbench.report.rank_costs import costs
from normbench.store.records import Record

OVER_ALL = "over cells"
FEW_NORMS = 8  # of which all pairs are put into words
FEW_RUNS = 5


@dataclass(frozen=True)
class View:
    """A ranking, and how to look at it.

    Attributes:
        ranking: the norms.
        settings: what all of its runs have in common.
        baseline: the norm that others are set beside; None of one norm.
        about: norms that the words are about; empty: the page chooses.
        tell: a difference worth telling.
        probes: probe -> its records, of any settings.
        tuning: how learning rates were chosen; None: they were not.
        label: what sets these runs apart from those of other pages of that name.
        left_out: norms that have runs, too, but were not asked for.
    """

    ranking: Ranking
    settings: Mapping[str, Any]
    baseline: str | None
    about: Sequence[str]
    tell: float
    probes: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    tuning: Tuning | None = None
    label: str = ""
    left_out: Sequence[str] = ()

    def comparisons(self) -> Iterator[tuple[str, str, Comparison]]:
        """Each cell's, and that over the shared ones: a heading, in words, and what is compared."""
        for place, comparison in self.ranking.compared.items():
            yield str(place), place.in_words(), comparison
        if self.ranking.over_all:
            count = len(self.ranking.shared)
            yield OVER_ALL, f"over {count} cells", self.ranking.over_all


def markdown(view: View) -> str:
    """The page of a ranking."""
    ranking = view.ranking
    model, data = view.settings["model"]["name"], view.settings["data"]["name"]
    parts = [f"# Norms ranked: {model} on {data}{' (tuned)' if view.tuning else ''}"]
    parts.append(filled(provenance(ranking.records)))
    if view.label:
        parts.append(filled(f"Protocol: {view.label}."))
    if view.left_out:
        parts.append(filled(f"Left out, though they have runs: {', '.join(view.left_out)}."))
    parts += ["## At a glance", _glance(view), *map(filled, _about_glance(view))]
    if view.tuning:
        parts += ["## What each norm chose", *_chosen(view, view.tuning)]
    if view.baseline:
        parts += [f"## Differences to {view.baseline}", _differences(view)]
        parts.append(
            filled("Accuracy, with simultaneous intervals; bold where the interval leaves out 0.")
        )
    parts += ["## In words", *_in_words(view)]
    if len(ranking.norms) > 1:
        parts += ["## What these runs can tell", *_power(view)]
    parts += ["## Loss", _losses(ranking), *costs(ranking, view.settings, view.probes)]
    if len(ranking.norms) > 1:
        parts += ["## How", *map(filled, _how(view))]
    return "\n\n".join(parts) + "\n"


def _glance(view: View) -> str:
    ranking = view.ranking
    best = {
        place: max(f"{accuracy(cell).mean:.2f}" for cell in of.values())
        for place, of in ranking.cells.items()
    }
    lines = []
    for norm in ranking.norms:
        rank = ranking.average_ranks.get(norm)
        line = [norm, "–" if rank is None else f"{rank:.1f}"]
        for place, of in ranking.cells.items():
            line.append(_accuracy(view, place, of[norm], best[place]) if norm in of else "")
        if over_all := ranking.over_all:
            line.append(_mean(over_all, norm) + _sign(view, over_all, norm))
        lines.append(line)
    headings = ["norm", "rank", *map(str, ranking.places)]
    headings += [OVER_ALL] if ranking.over_all else []
    return table(lines, headings, "lr" + "l" * (len(headings) - 2))


def _accuracy(view: View, place: Place, cell: Cell, best: str) -> str:
    if not cell.finished:
        return f"diverged{_sign(view, view.ranking.compared[place], cell.norm)}"
    sample = accuracy(cell)
    text = str(sample)
    if f"{sample.mean:.2f}" == best:
        text = f"**{text}**"
    text += _sign(view, view.ranking.compared[place], cell.norm)
    return f"{text} ({cell.caveat})" if cell.caveat else text


def _mean(comparison: Comparison, norm: str) -> str:
    return f"{comparison.means[norm].value:.2f}" if norm in comparison.means else ""


def _sign(view: View, comparison: Comparison, norm: str) -> str:
    """An arrow where a norm is told apart from the baseline."""
    apart = _to_baseline(view, comparison, norm)
    if apart is None or not apart.real:
        return ""
    return " ▲" if apart.value > 0 else " ▼"


def _to_baseline(view: View, comparison: Comparison, norm: str) -> Apart | None:
    if view.baseline is None or norm == view.baseline:
        return None
    return comparison.apart(norm, view.baseline)


def _about_glance(view: View) -> Iterator[str]:
    ranking = view.ranking
    words = "Accuracy by batch size / learning rate, mean ± standard deviation over runs; the best "
    words += "of a column is bold."
    if view.baseline:
        words += f" ▲ ▼: above or below {view.baseline}, and told apart from it."
    if ranking.average_ranks:
        cells = len(ranking.shared)
        where = f"its average over the {cells} cells" if cells > 1 else "in the cell"
        words += f" Rank: {where} that most norms have, equals sharing theirs."
    yield words
    unranked = [
        f"{norm} (lacks {lacking} of {len(ranking.shared)})"
        for norm in ranking.norms
        if (lacking := ranking.lacking(norm))
    ]
    if unranked:
        yield f"Not ranked over cells, as cells lack: {', '.join(unranked)}."
    if any(record["status"] == "diverged" for record in ranking.records):
        yield "A run that diverged counts as accuracy 0, here and in all that follows."


def _chosen(view: View, tuning: Tuning) -> Iterator[str]:
    lines, unfinished = [], []
    for norm, size in sorted(view.ranking.chosen, key=lambda k: (-k[1], _order(view, k[0]))):
        choice = view.ranking.chosen[norm, size]
        if choice.lacking:
            unfinished.append(f"{norm} at batch size {size} ({choice.lacking} runs lack)")
            continue
        best = choice.best
        line = [str(size), norm, str(best) if best else "none trains"]
        line.append(f"{choice.accuracies[best]:.3f}" if best else "–")
        line += [str(choice.diverged), " and ".join(choice.edges)]
        lines.append(line)
    if lines:
        headings = ("bs", "norm", "learning rate", "held-out accuracy", "diverged", "at the edge")
        yield table(lines, headings, "rllrrl")
    rates = sorted(tuning.rates)
    words = (
        f"Each norm tried the same {len(tuning.candidates)} "
        f"{'learning rates' if tuning.weight_decay is None else 'pairs of settings'} at each batch "
        f"size, learning rates from {rates[0]:g} to {rates[-1]:g} drawn from "
        f"{tuning.lr[0]:g} to {tuning.lr[1]:g}"
    )
    if tuning.weight_decay:
        words += f", weight decays from {tuning.weight_decay[0]:g} to {tuning.weight_decay[1]:g}"
    seeds = ", ".join(map(str, tuning.seeds))
    yield filled(
        f"{words}, in log scale (Halton's sequence), with seeds {seeds}. They were chosen by the "
        f"accuracy on {tuning.held_out:.0%} of the training images, which these runs did not train "
        "on; what is reported are runs of other seeds on all training images, on the validation "
        "split. Diverged: how many of the runs that chose."
    )
    if any(choice.edges for choice in view.ranking.chosen.values()):
        yield filled(
            "Where the best lies at the edge of what was tried, what is beyond it may be better: "
            "widen tuning.lr, or try more."
        )
    if unfinished:
        yield filled(f"Not ranked, as its budget is not spent: {', '.join(unfinished)}.")


def _order(view: View, norm: str) -> tuple[int, str]:
    norms = view.ranking.norms
    return (norms.index(norm) if norm in norms else len(norms), norm)


def _differences(view: View) -> str:
    comparisons = list(view.comparisons())
    lines = []
    for norm in view.ranking.norms:
        if norm == view.baseline:
            continue
        of_norm = [_to_baseline(view, comparison, norm) for *_, comparison in comparisons]
        lines.append([norm, *map(_difference, of_norm)])
    headings = ["norm", *(heading for heading, *_ in comparisons)]
    return table(lines, headings, "l" * len(headings))


def _difference(apart: Apart | None) -> str:
    if apart is None:
        return ""
    text = f"{apart.value + 0.0:+.3f}"
    if apart.half_width < float("inf"):
        text += f" ± {apart.half_width:.3f}"
    return f"**{text}**" if apart.real else text


def _in_words(view: View) -> Iterator[str]:
    norms = view.ranking.norms
    if len(norms) < 2:
        yield f"Only {norms[0]} has runs: there is nothing to compare it with."
        return
    about = [norm for norm in norms if norm in view.about]
    pairs_once = not about and len(norms) <= FEW_NORMS
    if not about:
        about = norms if pairs_once else [view.baseline or norms[0]]
    for _, words, comparison in sorted(view.comparisons(), key=lambda of: of[0] != OVER_ALL):
        order = sorted(comparison.means, key=lambda norm: -comparison.means[norm].value)
        lines: list[str] = []
        for norm in order:
            if norm in about:
                others = order[order.index(norm) + 1 :] if pairs_once else order
                lines += _sentence(view, comparison, norm, [o for o in others if o != norm])
        if lines:
            yield f"**{words[0].upper()}{words[1:]}**"
            yield "\n".join(filled(f"- {line}", "  ") for line in lines)
        few = [norm for norm in about if norm not in order and _ran(view, words, norm)]
        if few:
            yield filled(
                f"{words[0].upper()}{words[1:]}: nothing can be told of {', '.join(few)} with one "
                "run, as there is no spread."
            )
    if len(norms) - len(about) > 1:
        yield "Pairs of the other norms are in the CSV; norm=NAME tells of another one."


def _ran(view: View, words: str, norm: str) -> bool:
    return any(place.in_words() == words and norm in of for place, of in view.ranking.cells.items())


def _sentence(
    view: View, comparison: Comparison, norm: str, others: Sequence[str]
) -> Iterator[str]:
    """What a norm is above, below, and not told apart from."""
    aparts = {other: apart for other in others if (apart := comparison.apart(norm, other))}
    if not aparts:
        return
    real = {other: apart for other, apart in aparts.items() if apart.real}
    said = []
    for side, sign in (("above", 1), ("below", -1)):
        of_side = [
            f"{other} by {abs(apart.value):.3f} ± {apart.half_width:.3f}"
            for other, apart in real.items()
            if apart.value * sign > 0
        ]
        if of_side:
            said.append(f"{side} {_listed(of_side)}")
    same = [other for other in aparts if other not in real]
    if same:
        said.append(f"not told apart from {_listed(same)}{_needed(view, comparison, norm, same)}")
    value = comparison.means[norm].value
    yield f"{norm} ({value:.3f}) is {'; '.join(said)}."


def _needed(view: View, comparison: Comparison, norm: str, others: Sequence[str]) -> str:
    """How many more runs would tell a difference, in words; nothing over several cells."""
    if len(comparison.means[norm].runs) > 1:
        return ""
    counts = [comparison.more_runs(norm, other, view.tell) for other in others]
    known = sorted(count for count in counts if count is not None)
    if not known:
        return ""
    if not known[-1] and len(known) == len(counts):
        return f" (a difference of {view.tell:g} would be told)"
    ends = f"{known[0]} to {known[-1]}" if known[0] < known[-1] else f"{known[0]}"
    more = f" or, for some, over {MOST_RUNS}" if len(known) < len(counts) else ""
    return f" ({ends}{more} more seeds of each would tell {view.tell:g})"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _power(view: View) -> Iterator[str]:
    lines: list[list[str]] = []
    few = set()
    for heading, _, comparison in view.comparisons():
        norms = list(comparison.means)
        pairs = [(a, b) for i, a in enumerate(norms) for b in norms[:i]]
        aparts = [apart for pair in pairs if (apart := comparison.apart(*pair))]
        widths = [apart.half_width for apart in aparts if apart.half_width < float("inf")]
        if not widths or not comparison.test:
            lines.append([heading, "", "", "", "", ""])
            continue
        runs = [run for mean in comparison.means.values() for run in mean.runs]
        few.add(min(runs))
        real = sum(apart.real for apart in aparts)
        line = [heading, _ends(runs), f"{real} of {len(aparts)}"]
        line.append(f"{statistics.median(widths):.3f}")
        more = ""
        if len(comparison.means[norms[0]].runs) == 1:
            counts = [comparison.more_runs(*pair, view.tell) for pair in pairs]
            middle = statistics.median(MOST_RUNS if c is None else c for c in counts)
            more = f"{middle:.0f}" if middle < MOST_RUNS else f"over {MOST_RUNS}"
        line += [more, f"{comparison.test.width:.2f}"]
        lines.append(line)
    told = f"more runs for {view.tell:g}"
    yield table(
        lines, ("cell", "runs", "pairs told apart", "± (median)", told, "widened by"), "llrrrr"
    )
    yield filled(
        "Runs: of each norm. ±: half of an interval's width; a difference much below it is not "
        f"told. More runs: of each norm, until a difference of {view.tell:g} is told in "
        f"{POWER:.0%} of cases, if they spread as these do (median over pairs). Widened by: what "
        "makes up for the few runs that spreads are estimated from."
    )
    if few and min(few) < FEW_RUNS:
        yield filled(
            f"With {min(few)} runs a spread is hardly known, so intervals are wide: that two norms "
            "are not told apart says little, and never that they are equal."
        )


def _ends(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _losses(ranking: Ranking) -> str:
    lines = [
        [norm, *(_loss(of[norm]) if norm in of else "" for of in ranking.cells.values())]
        for norm in ranking.norms
    ]
    return (
        table(lines, ["norm", *map(str, ranking.places)], "l" * (1 + len(ranking.places)))
        + "\n\n"
        + filled(
            "Of the validation split after the last epoch, mean ± standard deviation over runs "
            "that finished."
        )
    )


def _loss(cell: Cell) -> str:
    return str(cell.loss or "diverged")


def _how(view: View) -> Iterator[str]:
    ranking = view.ranking
    corrected = f"those of this cell are compared at {ALPHA:g}"
    if ranking.tables > 1:
        corrected = f"{ranking.tables} sets of pairs are compared on this page (each cell"
        corrected += ", and the means over cells)" if ranking.over_all else ")"
        corrected += f", each at {ALPHA:g} / {ranking.tables} (Bonferroni)"
    yield (
        "Intervals and what is told apart: Games and Howell's test of all pairs of norms in a "
        "cell, which takes no spread for another's (scipy.stats.tukey_hsd with equal_var=False), "
        "widened for few runs so that norms that are equal, in as many runs, are called different "
        f"no more often than it says. Corrected for all pairs: {corrected}, so that some "
        "difference is told where there is none on one page of twenty. That holds for runs that "
        "are spread normally and independently; norms that share a seed share the order of images."
    )
    yield (
        f"An accuracy is that of {_epochs(view)} of this protocol, with one setting of each norm: "
        "what is above here need not be elsewhere."
        + ("" if view.tuning else " No norm was tuned; tune=N gives each the same budget.")
    )


def _epochs(view: View) -> str:
    epochs = view.settings["train"]["epochs"]
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def cells_csv(view: View) -> str:
    """One line a norm and cell; what is not known is left empty."""
    ranking = view.ranking
    headings = [
        "norm", "batch_size", "lr", "runs", "diverged", "accuracy_mean", "accuracy_std",
        "loss_mean", "loss_std", "rank", "average_rank", "baseline", "difference", "half_width",
        "told_apart",
    ]  # fmt: skip
    lines = []
    for norm in ranking.norms:
        for place, of in ranking.cells.items():
            if norm not in of:
                continue
            cell, average = of[norm], ranking.average_ranks.get(norm)
            apart = _to_baseline(view, ranking.compared[place], norm)
            lines.append(
                [
                    *(norm, cell.batch_size, f"{cell.lr:g}", len(cell.records)),
                    len(cell.records) - len(cell.finished),
                    *_numbers(Sample.of(accuracies(cell))),
                    *_numbers(cell.loss),
                    f"{ranking.ranks[place][norm]:g}",
                    "" if average is None else f"{average:.4g}",
                    view.baseline or "",
                    *_apart(apart),
                ]
            )
    return _csv(headings, lines)


def pairs_csv(view: View) -> str:
    """One line a pair of norms, in a cell or over cells (``cell``)."""
    lines: list[list[Any]] = []
    for heading, _, comparison in view.comparisons():
        norms = [norm for norm in view.ranking.norms if norm in comparison.means]
        for i, norm in enumerate(norms):
            lines += [
                [heading, norm, other, *_apart(comparison.apart(norm, other))]
                for other in norms[i + 1 :]
            ]
    return _csv(["cell", "norm", "other", "difference", "half_width", "told_apart"], lines)


def _numbers(sample: Sample | None) -> tuple[str, str]:
    if sample is None:
        return "", ""
    return f"{sample.mean:.4f}", "" if sample.std is None else f"{sample.std:.4f}"


def _apart(apart: Apart | None) -> tuple[str, str, str]:
    if apart is None:
        return "", "", ""
    known = apart.half_width < float("inf")
    width = f"{apart.half_width:.4f}" if known else ""
    return f"{apart.value:.4f}", width, "yes" if apart.real else "no"


def _csv(headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(lines)
    return text.getvalue()
