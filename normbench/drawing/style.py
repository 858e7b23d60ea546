"""One look for every figure: sizes, colors, captions, and files with the same bytes each time.

Figures are 8.5 inches wide, so that their text has the size of a README's at 850 pixels.
matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from normbench.store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.5  # inches
DPI = 200
INK, FAINT, GRID = "#222222", "#666666", "#e4e4e4"  # text, captions, grid lines


class Look(NamedTuple):
    """How a norm's lines and points are drawn."""

    color: str
    marker: str


# Hues of Okabe and Ito and of Tol, which color-blind readers tell apart within the article's norms,
# and within BatchNorm's parts.
_NORMS = {
    "none": ("#595959", "X"),
    "batchnorm": ("#0072b2", "o"),
    "batchnorm_eps": ("#56b4e9", "s"),
    "running_batchnorm": ("#009e73", "^"),
    "layernorm": ("#e69f00", "v"),
    "groupnorm": ("#d55e00", "D"),
    "ws_groupnorm": ("#cc79a7", "<"),
    "ws_bcn": ("#4b0082", ">"),
    "batchnorm_no_affine": ("#56b4e9", "s"),
    "batchnorm_detached": ("#661100", "v"),
    "batchnorm_scale": ("#e69f00", "D"),
    "batchnorm_center": ("#a6611a", "^"),
    "affine": ("#332288", "P"),
    "noisy_batchnorm": ("#d55e00", "d"),
}
NORMS = {norm: Look(*look) for norm, look in _NORMS.items()}
OTHERS = ("#999933", "#117733", "#44aa99", "#aa4499", "#cc6677"), ("*", "h", "d", "P", "p")

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": DPI,
    "svg.hashsalt": "normbench",  # ids in the SVG that do not change
    "svg.fonttype": "path",
}


def looks(norms: Iterable[str]) -> dict[str, Look]:
    """Color and marker of norms that are drawn in one figure, in their order.

    Each looks as it does in every figure; but where another norm of this figure has that look, the
    one that was not drawn by the project before takes the next that is free.
    """
    norms = list(norms)
    found: dict[str, Look] = {}
    for norm in sorted(norms, key=lambda norm: norm not in NORMS):
        free = (look for look in _choices(norm) if look not in found.values())
        found[norm] = next(free, _look(norm))
    return {norm: found[norm] for norm in norms}


def _look(norm: str) -> Look:
    return next(_choices(norm))


def _choices(norm: str) -> Iterator[Look]:
    """A norm's look in every figure, and what it can have instead."""
    if norm in NORMS:
        yield NORMS[norm]
    colors, markers = OTHERS
    first = zlib.crc32(norm.encode())
    for turn in range(len(markers)):
        for i in range(first, first + len(colors)):
            yield Look(colors[i % len(colors)], markers[(i + turn) % len(markers)])


def shades(count: int) -> list[Any]:
    """Colors for things in an order, from dark to light, that color-blind readers tell apart."""
    import matplotlib

    return [matplotlib.colormaps["viridis"](0.8 * i / max(1, count - 1)) for i in range(count)]


@contextmanager
def in_style() -> Iterator[None]:
    """What is drawn inside looks like every other figure, whatever the user's matplotlibrc says.

    That an axis has no range, or nothing positive for logarithms, is no news worth a warning.
    """
    from matplotlib.style import context

    with context(STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attempting to set identical|Data has no positive")
        yield


@contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A figure without axes to draw on inside of a ``with``; height and width in inches."""
    with in_style():
        from matplotlib.figure import Figure

        yield Figure(figsize=(width, height))


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, height: float = 3.2, width: float = WIDTH, **settings: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure to draw on inside of a ``with``, and its axes, an array of (rows, columns).

    Args:
        rows, columns: of panels.
        height: of the whole figure, in inches, as is its width.
        settings: for ``Figure.subplots``, such as sharey=True.
    """
    with canvas(height, width) as fig:
        yield fig, fig.subplots(rows, columns, squeeze=False, **settings)


def legend(fig: Figure, ax: Axes, columns: int, **settings: Any) -> None:
    """Name what is drawn in a panel above all of them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=columns, **settings)


# Where a logarithmic axis has numbers, within a decade: as few as tell its scale.
NUMBERED = (1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
ENOUGH = 3  # numbers


def log_scale(ax: Axes, which: str = "y") -> None:
    """A logarithmic axis, x or y, once all is drawn: a tick at each of 1, 2, … 9 times a power of
    ten, and plain numbers at some of them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = sorted(axis.get_view_interval())
    numbered = next((n for n in NUMBERED if _numbers(n, low, high) >= ENOUGH), NUMBERED[-1])
    axis.set_major_locator(LogLocator(subs=numbered))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(LogLocator(subs=range(2, 10)))
    axis.set_minor_formatter(NullFormatter())


def _numbers(within_decade: Iterable[float], low: float, high: float) -> int:
    """How many numbers an axis from low to high has."""
    return sum(
        math.floor(math.log10(high / n)) - math.ceil(math.log10(low / n)) + 1 for n in within_decade
    )


def caption(fig: Figure, text: str) -> None:
    """Say below the axes what was measured: batch size, learning rate, seeds; no hardware."""
    size = 8
    characters = int(fig.get_figwidth() * 72 / (0.54 * size))
    fig.supxlabel(textwrap.fill(text, characters), x=0.01, ha="left", fontsize=size, color=FAINT)


def add_to_caption(fig: Figure, text: str) -> None:
    """Say one more thing there."""
    caption(fig, " ".join([*fig.get_supxlabel().split(), text]))


def save(fig: Figure, stem: Path) -> list[Path]:
    """Write STEM.png and STEM.svg, each whole or not at all; the same figure is the same bytes."""
    paths = []
    for kind, dated in (("png", ("Software",)), ("svg", ("Date", "Creator"))):
        file = io.BytesIO()
        with in_style():
            fig.savefig(file, format=kind, metadata=dict.fromkeys(dated))
        paths.append(Path(f"{stem}.{kind}"))
        write_atomically(paths[-1], file.getvalue())
    return paths
