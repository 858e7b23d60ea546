"""Ours beside the article's as a figure: one panel a cell, one row a norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from normbench.analysis.cells import Results
from normbench.analysis.comparison import Row
from normbench.analysis.groups import conditions, norm_rank
from normbench.analysis.reference import calibrated_on
from normbench.analysis.welch import Sample
from normbench.drawing import style

COLUMNS = 2
APART = 0.15  # ours and the article's, from the middle of a norm's row
BAND = "#f1f1f1"
OURS: dict[str, Any] = {"marker": "o", "markersize": 6.5, "color": style.INK}
ARTICLES: dict[str, Any] = {
    "marker": "D", "markersize": 5, "color": style.INK, "markerfacecolor": "white",
}  # fmt: skip


def draw(results: Results, rows: Sequence[Row], stem: Path) -> list[Path]:
    """Draw accuracies of the cells that the article has numbers of, into STEM.png and STEM.svg.

    Returns:
        The files; none where the article has no numbers.
    """
    shown = [row for row in rows if row.accuracy.ours or row.accuracy.article]
    panels: dict[tuple[str, int, float], list[Row]] = {}
    for row in shown:
        panels.setdefault((row.cell.model, row.cell.batch_size, row.cell.lr), []).append(row)
    panels = {key: of for key, of in panels.items() if any(row.accuracy.article for row in of)}
    if not panels:
        return []
    norms = sorted({row.cell.norm for of in panels.values() for row in of}, key=norm_rank)
    models = list(dict.fromkeys(model for model, *_ in panels))
    lines = math.ceil(len(panels) / COLUMNS)
    height = 0.9 + lines * (0.55 + 0.27 * len(norms))
    with style.figure(lines, COLUMNS, height, sharex=True, sharey=True) as (fig, axes):
        for ax, ((model, batch_size, lr), of) in zip(axes.flat, panels.items(), strict=False):
            cell = f"batch size {batch_size}, learning rate {lr:g}"
            ax.set_title(f"{model}, {cell}" if len(models) > 1 else cell)
            _panel(ax, of, norms, model)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for ax in axes[-1]:
            ax.set_xlabel("accuracy")
        fig.legend(handles=_legend(), loc="outside upper left", ncols=3)
        settings = [
            f"{model}: {conditions(results.records[model])}"
            for model in models
            if model in results.records
        ]
        style.caption(fig, " ".join(settings))
    return style.save(fig, stem)


def _panel(ax: Any, rows: Sequence[Row], norms: Sequence[str], model: str) -> None:
    ax.set_yticks(range(len(norms)), norms)
    ax.set_ylim(len(norms) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    for place, norm in enumerate(norms):
        ax.axhline(place - 0.5, color=style.GRID, linewidth=0.8, zorder=1)
        if calibrated_on(model, norm):
            ax.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
    for row in rows:
        place = norms.index(row.cell.norm)
        _mark(ax, row.accuracy.ours, place - APART, OURS | {"color": style.color(row.cell.norm)})
        _mark(ax, row.accuracy.article, place + APART, ARTICLES)


def _mark(ax: Any, sample: Sample | None, place: float, look: dict[str, Any]) -> None:
    if sample:
        ax.errorbar(
            sample.mean, place, xerr=sample.std, linestyle="none", elinewidth=1.6, zorder=3, **look
        )


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], linestyle="none", label="ours", **OURS),
        Line2D([], [], linestyle="none", label="the article's", **ARTICLES),
        Patch(color=BAND, label="calibrated on"),
    ]
