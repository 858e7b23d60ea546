"""Rankings as figures: accuracy and what is certain of it, cell by cell; runs as they trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import mean, stack
from normbench.analysis.cells import Cell
from normbench.analysis.ranking import Comparison, accuracies, accuracy
from normbench.drawing import style
from normbench.drawing.captions import averaged, protocol_line
from normbench.drawing.lines import draw_runs
from normbench.drawing.rows import HEIGHT, norm_rows
from normbench.report.rank import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMNS = 2
MOST_LINES = 8  # norms whose curves can be told apart
PANEL = 1.9  # of curves, in inches
MARKER, RUN = 6.5, 3.5  # points
BELOW = 0.27  # a norm's mean, its runs
NUMBERS = 6  # that an axis has at most
LINE: dict[str, Any] = {"markersize": 4, "linewidth": 1.4}


def ranking_figure(view: View) -> Figure:
    """A panel a cell, and one over cells: a row a norm, the best over cells on top.

    Where a norm's interval leaves out the baseline's line, the two are told apart.
    """
    ranking = view.ranking
    norms = ranking.norms
    looks = style.looks(norms)
    panels: list[tuple[str, Comparison, Mapping[str, Cell]]] = [
        (place.in_words(), ranking.compared[place], of) for place, of in ranking.cells.items()
    ]
    if ranking.over_all:
        panels.append((f"mean over {len(ranking.shared)} cells", ranking.over_all, {}))
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    height = 1.2 + lines * (0.75 + HEIGHT * len(norms))
    with style.figure(lines, columns, height, sharey=True) as (fig, axes):
        for ax, (title, comparison, cells) in zip(axes.flat, panels, strict=False):
            norm_rows(ax, norms)
            ax.set_title(title)
            ax.set_xlabel("accuracy")
            ax.locator_params(axis="x", nbins=NUMBERS)
            for row, norm in enumerate(norms):
                _draw(ax, row, norm, cells.get(norm), comparison, view.baseline, looks[norm])
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        fig.legend(handles=_legend(view), loc="outside upper left", ncols=4, handletextpad=0.3)
        style.caption(fig, _caption(view))
    return fig


def _draw(
    ax: Axes,
    row: int,
    norm: str,
    cell: Cell | None,
    comparison: Comparison,
    baseline: str | None,
    look: style.Look,
) -> None:
    """A norm's runs, its mean, and the interval of how far it is from the baseline."""
    if cell:
        runs = accuracies(cell)
        ax.plot(runs, [row + BELOW] * len(runs), ".", color=look.color, ms=RUN, zorder=2)
        middle = accuracy(cell).mean
    elif norm in comparison.means:
        middle = comparison.means[norm].value
    else:
        return
    if norm == baseline:
        ax.axvline(middle, color=look.color, lw=1.2, ls=":", zorder=1)
    apart = comparison.apart(norm, baseline) if baseline and norm != baseline else None
    if apart and math.isfinite(apart.half_width):
        ax.errorbar(middle, row, xerr=apart.half_width, color=look.color, elinewidth=1.6, zorder=3)
    filled = norm == baseline or (apart is not None and apart.real)
    ax.plot(
        middle, row, "o", color=look.color, ms=MARKER, mfc=look.color if filled else "white",
        zorder=4,
    )  # fmt: skip


def _legend(view: View) -> list[Any]:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"color": style.INK, "linestyle": "none"}
    handles = [Line2D([], [], marker=".", ms=RUN, label="a run", **look)]
    if view.baseline is None:
        return [*handles, Line2D([], [], marker="o", ms=MARKER, mfc="white", label="mean", **look)]
    for words, fill in (("told apart from", style.INK), ("not told apart from", "white")):
        label = f"mean, {words} the baseline"
        handles.append(Line2D([], [], marker="o", ms=MARKER, mfc=fill, label=label, **look))
    return handles


def _caption(view: View) -> str:
    parts = [
        "Of the validation split after the last epoch. Norms by their average rank over cells."
    ]
    if view.baseline:
        parts.append(
            f"Bars: simultaneous intervals (Games-Howell, widened for few runs) of the difference "
            f"to the baseline, {view.baseline}, whose mean is dotted: a bar that does not reach "
            "the line is told apart from it."
        )
    if any(record["status"] == "diverged" for record in view.ranking.records):
        parts.append("A run that diverged counts as accuracy 0.")
    parts.append(f"{protocol_line(list(view.ranking.records))}.")
    return " ".join(parts)


def curves_figure(view: View) -> Figure:
    """Training loss and validation accuracy after each epoch, a row of panels a cell, a line a
    norm: those that are asked for, the baseline and the best of the others, as far as lines can be
    told apart."""
    ranking = view.ranking
    first = [*view.about, *([view.baseline] if view.baseline else []), *ranking.norms]
    shown = [norm for norm in dict.fromkeys(first) if norm in ranking.norms][:MOST_LINES]
    shown.sort(key=ranking.norms.index)
    looks = style.looks(shown)
    rows = len(ranking.cells)
    with style.figure(rows, 2, 1.1 + rows * PANEL, sharex=True) as (fig, axes):
        for pair, (place, of) in zip(axes, ranking.cells.items(), strict=True):
            pair[0].set_title(place.in_words())
            for ax, part, label in zip(
                pair, ("train_loss", "val_accuracy"), ("training loss", "accuracy"), strict=True
            ):
                ax.set_ylabel(label)
                for norm in shown:
                    if norm in of:
                        _draw_curve(ax, of[norm], part, looks[norm])
        for ax in axes[-1]:
            ax.set_xlabel("epoch")
            ax.locator_params(axis="x", integer=True)
        handles = [_line(norm, looks[norm]) for norm in shown]
        fig.legend(handles=handles, loc="outside upper left", ncols=4)
        style.caption(fig, _about_curves(view, shown))
    return fig


def _draw_curve(ax: Axes, cell: Cell, part: str, look: style.Look) -> None:
    runs = [np.array([e[part] for e in record["epochs"]]) for record in cell.records]
    runs = [run for run in runs if len(run)]  # one that diverged at once has none
    if runs:
        lines = stack(runs)
        epochs = np.arange(1, lines.shape[1] + 1)
        draw_runs(ax, epochs, lines, mean, look.color, marker=look.marker, **LINE)


def _line(norm: str, look: style.Look) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.color, marker=look.marker, label=norm, **LINE)


def _about_curves(view: View, shown: Sequence[str]) -> str:
    records = list(view.ranking.records)
    parts = [
        f"Mean training loss of each epoch, and accuracy on the validation split after it. "
        f"{averaged(records)}."
    ]
    left_out = len(view.ranking.norms) - len(shown)
    if left_out:
        parts.append(f"{left_out} other norms are left out; norm=NAME draws others.")
    return f"{' '.join(parts)} {protocol_line(records)}."
