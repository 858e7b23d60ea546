"""Lines of several runs, and names at their ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from normbench.analysis.averages import highest, lowest
from normbench.drawing.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADE = 0.15  # opacity of a range
LEAD = 14  # points from a panel to the names of its lines


def draw_runs(
    ax: Axes, x: Any, runs: np.ndarray, average: Callable[..., Any], color: Any, **look: Any
) -> None:
    """The average over runs as a line; from the lowest to the highest of them is shaded.

    Args:
        x: (T,)
        runs: (runs, T), NaN where a run has no number.
        average: of an array over an axis.
        color: of line and shade.
        look: of the line.
    """
    if len(runs) > 1:
        low, high = lowest(runs, axis=0), highest(runs, axis=0)
        ax.fill_between(x, low, high, color=color, alpha=SHADE, lw=0)
    ax.plot(x, average(runs, axis=0), color=color, **look)


def label_ends(ax: Axes, colors: Mapping[str, Any], size: float = 8.5) -> None:
    """Write the label of every line of a panel at its right end, and draw what leads there.

    Args:
        colors: label -> color of what leads there. Lines with another label have none.
        size: of the text, in points.
    """
    ends: dict[str, tuple[float, float]] = {}
    for line in ax.lines:
        points = np.asarray(line.get_xydata())
        points = points[np.isfinite(points[:, 1])]
        if line.get_label() in colors and len(points):
            ends[str(line.get_label())] = points[-1, 0], points[-1, 1]
    if not ends:
        return
    ax.autoscale_view()  # now, not when it is drawn
    places = (ax.transData - ax.transAxes).transform(list(ends.values()))[:, 1].tolist()
    pixels = ax.get_window_extent()  # about, as the layout is not settled
    width, height = (side * 72 / _dpi(ax) for side in (pixels.width, pixels.height))
    for (label, end), place in zip(ends.items(), apart(places, 1.5 * size / height), strict=True):
        ax.annotate(
            label, end, (1 + LEAD / width, place), textcoords="axes fraction", va="center",
            color=INK, fontsize=size,
            arrowprops={
                "arrowstyle": "-", "color": colors[label], "relpos": (0, 0.5), "shrinkA": 2,
            },
        )  # fmt: skip


def _dpi(ax: Axes) -> float:
    figure = ax.get_figure(root=True)
    assert figure is not None  # as the axes are on it
    return figure.dpi


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Places that are a gap apart, in the same order; those too close spread around their mean.

    Args:
        places: from 0 to 1, in any order; there they stay if there is room.
        gap: at least between two of them.
    """
    groups: list[list[int]] = []  # each of places that touch, from the lowest to the highest

    def lowest_of(group: list[int]) -> float:
        height = gap * (len(group) - 1)
        middle = float(np.mean([places[i] for i in group]))
        return max(0, min(middle - height / 2, 1 - height))

    for i in sorted(range(len(places)), key=lambda i: places[i]):
        groups.append([i])
        while len(groups) > 1 and (
            lowest_of(groups[-1]) < lowest_of(groups[-2]) + gap * len(groups[-2])
        ):
            last = groups.pop()
            groups[-1] += last
    found = {i: lowest_of(group) + gap * place for group in groups for place, i in enumerate(group)}
    return [found[i] for i in range(len(places))]
