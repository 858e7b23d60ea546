"""What figures with several panels share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from normbench.drawing.style import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW_LAYERS = 6  # whose lines can be told apart


@contextmanager
def norm_panels(
    norms: Iterable[str], x: str, y: str, columns: int = 3, **settings: Any
) -> Iterator[tuple[Figure, dict[str, Axes]]]:
    """A figure with a panel a norm, all with the same axes, labelled x and y."""
    norms = list(norms)
    columns = min(columns, len(norms))
    rows = -(-len(norms) // columns)
    height = 0.9 + 2.0 * rows
    with figure(rows, columns, height, sharex=True, sharey=True, **settings) as (fig, grid):
        axes = dict(zip(norms, grid.flat, strict=False))
        for norm, ax in axes.items():
            ax.set_title(norm)
        for ax in list(grid.flat)[len(norms) :]:
            ax.set_axis_off()
        for column in range(columns):  # the lowest panel of each column has its numbers
            list(axes.values())[column::columns][-1].tick_params(labelbottom=True)
        for ax in grid[-1]:
            ax.set_xlabel(x)
        for row in grid:
            row[0].set_ylabel(y)
        yield fig, axes


def layer_legend(fig: Figure, ax: Axes) -> None:
    """Name the lines of a panel above all of them, or the first and last of many."""
    handles, labels = ax.get_legend_handles_labels()
    if len(labels) > 1:
        labels = [f"{labels[0]} (first)", *labels[1:-1], f"{labels[-1]} (last)"]
    if len(handles) > FEW_LAYERS:
        handles, labels = [handles[0], handles[-1]], [labels[0], labels[-1]]
    fig.legend(handles, labels, loc="outside upper left", ncols=len(labels))
