"""What figures with several panels share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from normbench.drawing import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

COLUMNS, HEIGHT = 3, 2.0  # of panels for norms; inches

Panels = dict[str, list["Axes"]]  # norm -> its panels, from top to bottom


@contextmanager
def norm_panels(norms: Iterable[str], x: str, ys: Sequence[str]) -> Iterator[tuple[Figure, Panels]]:
    """A figure with panels for each norm, one above the other, with the same axes as other norms'.

    Args:
        norms: from left to right, and on in a line below.
        x: label of all their axes.
        ys: label of each of a norm's panels.
    """
    norms = list(norms)
    with style.canvas(0.9 + _height(norms, ys)) as fig:
        yield fig, _fill(fig, norms, x, ys)


@contextmanager
def norm_panels_and_one(
    norms: Iterable[str], x: str, ys: Sequence[str], height: float
) -> Iterator[tuple[Figure, Panels, Axes]]:
    """``norm_panels``, and one below that is as wide as the figure, for all norms.

    Args:
        norms, x, ys: as above.
        height: of the one below, in inches.
    """
    norms = list(norms)
    heights = _height(norms, ys), height
    with style.canvas(0.9 + sum(heights)) as fig:
        upper, lower = fig.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
        yield fig, _fill(upper, norms, x, ys), lower.subplots()


def _height(norms: list[str], ys: Sequence[str]) -> float:
    return HEIGHT * len(ys) * -(-len(norms) // COLUMNS)


def _fill(fig: FigureBase, norms: list[str], x: str, ys: Sequence[str]) -> Panels:
    columns = min(COLUMNS, len(norms))
    grid = fig.add_gridspec(len(ys) * -(-len(norms) // columns), columns)
    panels: Panels = {}
    for i, norm in enumerate(norms):
        line, column = divmod(i, columns)
        panels[norm] = []
        for row, label in enumerate(ys):
            first = panels[norms[0]]  # whose axes the others share
            ax = fig.add_subplot(
                grid[line * len(ys) + row, column],
                sharex=first[0] if first else None,
                sharey=first[row] if i else None,
            )
            ax.tick_params(labelleft=column == 0, labelbottom=False)
            if column == 0:
                ax.set_ylabel(label)
            panels[norm].append(ax)
        panels[norm][0].set_title(norm)
    for column in range(columns):  # the lowest panel of each has numbers
        lowest = panels[norms[column::columns][-1]][-1]
        lowest.tick_params(labelbottom=True)
        lowest.set_xlabel(x)
    return panels


def layer_legend(fig: Figure, ax: Axes) -> None:
    """Name the lines of a panel above all of them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=len(labels))
