"""Ours beside the article's as a figure: one panel a cell, one row a norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.analysis.cells import Results
from normbench.analysis.comparison import Row
from normbench.analysis.groups import norm_rank
from normbench.analysis.reference import RUNS
from normbench.drawing import style
from normbench.drawing.captions import mean_and_std, protocol_line
from normbench.drawing.rows import HEIGHT, OURS, mark, norm_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2
APART = 0.15  # ours and the article's, from the middle of a norm's row
BAND = "#f1f1f1"
ARTICLES: dict[str, Any] = {
    "marker": "D", "markersize": 5, "color": style.INK, "markerfacecolor": "white",
}  # fmt: skip


def draw(results: Results, rows: Sequence[Row], stem: Path) -> list[Path]:
    """Draw it into STEM.png and STEM.svg.

    Returns:
        The files; none where no run finished.
    """
    fig = figure(results, rows)
    return style.save(fig, stem) if fig else []


def figure(results: Results, rows: Sequence[Row]) -> Figure | None:
    """The accuracies of cells that were run, and the article's.

    Where the article has no number, or none that ours can be set beside, ours stand alone. None
    where no run finished.
    """
    panels: dict[tuple[str, int, float], list[Row]] = {}
    for row in rows:
        if row.accuracy.ours or row.accuracy.article:
            key = row.cell.model, row.cell.batch_size, row.cell.lr
            panels.setdefault(key, []).append(row)
    panels = {key: of for key, of in panels.items() if any(row.accuracy.ours for row in of)}
    if not panels:
        return None
    shown = [row for of in panels.values() for row in of]
    norms = sorted({row.cell.norm for row in shown}, key=norm_rank)
    colors = {norm: look.color for norm, look in style.looks(norms).items()}
    models = list(dict.fromkeys(model for model, *_ in panels))
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    height = 0.9 + lines * (0.55 + HEIGHT * len(norms))
    with style.figure(lines, columns, height, sharex=True, sharey=True) as (fig, axes):
        for ax, ((model, batch_size, lr), of) in zip(axes.flat, panels.items(), strict=False):
            cell = f"batch size {batch_size}, lr {lr:g}"
            ax.set_title(f"{model}, {cell}" if len(models) > 1 else cell)
            _panel(ax, of, norms, colors)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for column in range(columns):  # the lowest panel of each has numbers
            lowest = axes.flat[: len(panels)][column::columns][-1]
            lowest.tick_params(labelbottom=True)
            lowest.set_xlabel("accuracy")
        beside = any(row.accuracy.article for row in shown)
        if beside:
            fig.legend(handles=_legend(shown), loc="outside upper left", ncols=3)
        style.caption(fig, _caption(results, models, beside))
    return fig


def _panel(ax: Axes, rows: Sequence[Row], norms: Sequence[str], colors: dict[str, str]) -> None:
    norm_rows(ax, norms)
    for row in rows:
        place = norms.index(row.cell.norm)
        if _calibrated(row):
            ax.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
        apart = APART if row.accuracy.article else 0
        mark(ax, row.accuracy.ours, place - apart, OURS | {"color": colors[row.cell.norm]})
        mark(ax, row.accuracy.article, place + apart, ARTICLES)


def _calibrated(row: Row) -> bool:
    return bool(row.accuracy.article and row.calibrated)


def _legend(rows: Sequence[Row]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], linestyle="none", label="ours", **OURS),
        Line2D([], [], linestyle="none", label="the article's", **ARTICLES),
    ]
    if any(map(_calibrated, rows)):
        handles.append(Patch(color=BAND, label="calibrated on"))
    return handles


def _caption(results: Results, models: Sequence[str], beside: bool) -> str:
    records = [record for model in models for record in results.records[model]]
    parts = [f"Of the validation split after the last epoch: {mean_and_std(records)}."]
    parts += [f"{protocol_line(results.records[model])}." for model in models]
    if beside:
        parts.append(f"The article's: over {RUNS} runs, rounded to two decimals.")
    return " ".join(parts)
