"""The figures of probes, from their records alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.probes.stored import read_probe
from normbench.records import Record, write_atomically
from normbench.report.settings import canonical
from normbench.report.style import figure, save
from normbench.report.tables import norm_groups, protocol_of
from normbench.report.text import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from normbench.probes import Probe

FEW_LAYERS = 6  # whose lines can be told apart


def draw_figures(results: Path, probe: str, drawer: type[Probe]) -> dict[Path, str]:
    """Draw every figure of a probe: one for each dataset, model, batch size, learning rate and
    what else its records differ by, but for the norm, the seed and what the probe draws together.

    Args:
        results: the results folder.
        probe: its name.
        drawer: its class.

    Returns:
        Stem of the files (without .png, .svg, .md) -> what the figure shows, as markdown.
    """
    groups: dict[str, dict[str, list[Record]]] = {}
    for record in read_probe(results, probe):
        protocol = _protocol(record, drawer)
        stem = "_".join(
            [probe, record["config"]["data"]["name"], record["config"]["model"]["name"]]
            + [
                f"{short}{protocol[field]:g}"
                for short, field in (("bs", "batch_size"), ("lr", "lr"))
                if field in protocol
            ]
        )
        groups.setdefault(stem, {}).setdefault(canonical(protocol), []).append(record)
    drawn = {}
    for name, protocols in sorted(groups.items()):
        for protocol, records in protocols.items():
            # most have one protocol; to tell several apart takes a digest of their settings
            mark = f"_{sha256(protocol.encode()).hexdigest()[:4]}" if len(protocols) > 1 else ""
            stem = Path(results) / "figures" / f"{name}{mark}"
            records.sort(key=lambda r: (r["seed"], r["batch_size"], r["lr"], r["key"]))
            save(drawer.draw(records), stem)
            drawn[stem] = drawer.summarize(records)
            if drawn[stem]:
                write_atomically(stem.with_name(f"{stem.name}.md"), drawn[stem])
    return drawn


def by_norm(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by norm, in the article's order; a norm's settings are named where they differ."""
    return dict(norm_groups(list(records)))


def protocol_line(records: list[Record]) -> str:
    """What a figure's records have in common, for its caption."""
    config = records[0]["config"]
    sizes, rates, seeds = (
        sorted({record[field] for record in records}) for field in ("batch_size", "lr", "seed")
    )
    return (
        f"{config['model']['name']} on {config['data']['name']}, "
        f"{config['data']['image_size']} px; "
        f"batch size {_listed(sizes)}, learning rate {_listed(rates)} "
        f"({config['optimizer']['name']}, {config['schedule']['name']}, "
        f"{config['train']['epochs']} epochs), {config['train']['precision']}, "
        f"seed{'s' * (len(seeds) > 1)} {_listed(seeds)}"
    )


def measured_when(records: list[Record]) -> str:
    """Between which of the steps something was measured, for a caption."""
    at = max((record["measured"]["at"] for record in records), key=len)
    return f"at {len(at)} points of training, after {at[0]} to {at[-1]} steps"


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


def markdown_table(headings: list[str], rows: list[list[Any]]) -> str:
    """Text and numbers, these to 3 significant digits; a dash where one is not finite."""
    return table(
        [[cell if isinstance(cell, str) else _shown(cell) for cell in row] for row in rows],
        headings,
        "".join("l" if isinstance(cell, str) else "r" for cell in rows[0]),
    )


def described(
    records: Iterable[Record],
    describe: Callable[[dict[str, Any]], Mapping[str, float]],
    average: Callable[..., Iterable[float]],
) -> str:
    """A table with a row a norm: averages over its runs of what describe says of each.

    Args:
        describe: what a run measured -> the numbers of all columns, by their headings.
        average: of an array over its axis.
    """
    rows, headings = [], []
    for norm, group in by_norm(records).items():
        of_runs = [describe(record["measured"]) for record in group]
        headings = ["norm", *of_runs[0]]
        rows.append([norm, *average([list(of_run.values()) for of_run in of_runs], axis=0)])
    return markdown_table(headings, rows)


def _shown(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _protocol(record: Record, drawer: type[Probe]) -> dict[str, Any]:
    """What records must have in common to be drawn in one figure."""
    fields = (field for field in ("batch_size", "lr") if field not in drawer.together)
    return protocol_of(record) | {field: record[field] for field in fields}
