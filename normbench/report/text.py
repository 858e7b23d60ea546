"""Markdown that reads as well in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

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
