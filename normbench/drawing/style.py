"""One look for every figure: sizes, colors, captions, and files with the same bytes each time.

Figures are 8.5 inches wide, so that their text has the size of a README's at 850 pixels.
matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

import io
import textwrap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.5  # inches
DPI = 200
INK, FAINT, GRID = "#222222", "#666666", "#e4e4e4"  # text, captions, grid lines

# Norm -> color and marker. Hues of Okabe and Ito and of Tol, which color-blind readers tell apart
# within the article's norms, and within BatchNorm's parts.
NORMS = {
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
OTHERS = (
    ("#999933", "*"),
    ("#117733", "h"),
    ("#44aa99", "d"),
    ("#aa4499", "P"),
    ("#cc6677", "p"),
)

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


def color(norm: str) -> str:
    """The color of a norm, told as in tables, in every figure."""
    return _look(norm)[0]


def marker(norm: str) -> str:
    """Its marker in every figure, for readers and printers without color."""
    return _look(norm)[1]


def _look(norm: str) -> tuple[str, str]:
    return NORMS.get(norm) or OTHERS[zlib.crc32(norm.encode()) % len(OTHERS)]


def shades(count: int) -> list[Any]:
    """Colors for things in an order, from dark to light, that color-blind readers tell apart."""
    import matplotlib

    return [matplotlib.colormaps["viridis"](0.8 * i / max(1, count - 1)) for i in range(count)]


@contextmanager
def in_style() -> Iterator[None]:
    """What is drawn inside looks like every other figure, whatever the user's matplotlibrc says."""
    from matplotlib.style import context

    with context(STYLE, after_reset=True):
        yield


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
    with in_style():
        from matplotlib.figure import Figure

        fig = Figure(figsize=(width, height))
        yield fig, fig.subplots(rows, columns, squeeze=False, **settings)


def legend(fig: Figure, ax: Axes, columns: int, **settings: Any) -> None:
    """Name what is drawn in a panel above all of them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=columns, **settings)


def log_scale(ax: Axes) -> None:
    """A logarithmic y axis with plain numbers at it: 0.1, 1, 10, or 1, 2, 5 where these are few."""
    from matplotlib.ticker import LogLocator, NullLocator

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    if high < 50 * low:
        ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def caption(fig: Figure, text: str) -> None:
    """Say below the axes what was measured: batch size, learning rate, seeds; no hardware."""
    size = 8
    characters = int(fig.get_figwidth() * 72 / (0.54 * size))
    fig.supxlabel(textwrap.fill(text, characters), x=0.01, ha="left", fontsize=size, color=FAINT)


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
