"""Panels with a row for each norm, and means with their spread in these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from normbench.analysis.welch import Sample
from normbench.drawing import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 0.27  # of a row, in inches
OURS: dict[str, Any] = {"marker": "o", "markersize": 6.5, "color": style.INK}


def norm_rows(ax: Axes, norms: Sequence[str]) -> None:
    """Make room for a row a norm, from top to bottom: row i is at y = i."""
    ax.set_yticks(range(len(norms)), norms)
    ax.set_ylim(len(norms) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    for row in range(len(norms)):
        ax.axhline(row - 0.5, color=style.GRID, linewidth=0.8, zorder=1)


def mark(ax: Axes, sample: Sample | None, row: float, look: dict[str, Any]) -> None:
    """A sample's mean and standard deviation; nothing where there is none."""
    if sample:
        ax.errorbar(
            sample.mean, row, xerr=sample.std, linestyle="none", elinewidth=1.6, zorder=3, **look
        )
