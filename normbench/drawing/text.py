"""Markdown that reads as well in a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from normbench.analysis.groups import by_norm
from normbench.store.records import Record

PAGE = 100  # characters a line


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str], align: str) -> str:
    """A table of texts and whole numbers; align has l or r for each column."""
    sides = {"l": "left", "r": "right"}
    return tabulate(
        rows,
        headers=headers,
        tablefmt="github",
        disable_numparse=True,
        colalign=[sides[side] for side in align],
    )


def bullets(meanings: Mapping[str, str]) -> str:
    """A list of names and what they mean."""
    return "\n".join(f"- {name}: {meaning}" for name, meaning in meanings.items())


def filled(text: str, indent: str = "") -> str:
    """A paragraph in lines of a page's width, those after the first indented."""
    return textwrap.fill(
        text, PAGE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def number_table(headings: list[str], rows: list[list[Any]]) -> str:
    """Text and numbers, these to 3 significant digits; a dash where one is not finite."""
    return table(
        [[cell if isinstance(cell, str) else _shown(cell) for cell in row] for row in rows],
        headings,
        "".join("l" if isinstance(cell, str) else "r" for cell in rows[0]),
    )


def table_by_norm(
    records: Iterable[Record],
    describe: Callable[[dict[str, Any]], Mapping[str, float]],
    average: Callable[..., Iterable[float]],
) -> str:
    """A table with a row a norm: averages over its runs of what describe says of each.

    Args:
        records: of probes.
        describe: what a run measured -> the numbers of all columns, by their headings.
        average: of an array over its axis.
    """
    rows, headings = [], []
    for norm, group in by_norm(records).items():
        of_runs = [describe(record["measured"]) for record in group]
        headings = ["norm", *of_runs[0]]
        rows.append([norm, *average([list(of_run.values()) for of_run in of_runs], axis=0)])
    return number_table(headings, rows)


def _shown(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"
