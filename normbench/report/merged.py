"""What became of the records of another folder, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from normbench.store.merge import Merged

LISTED = 20  # files of one kind; more are counted


def describe(folder: Path, results: Path, merged: Merged) -> str:
    """A line of counts, and one for each file that asks for somebody's eyes."""
    lines = [
        f"{folder}: {merged.added} records added to {results}, {merged.there} were there already"
        + _count(merged.contradicted, "contradicted by those here, which are kept")
        + _count(merged.refused, "not taken")
    ]
    for files in (merged.contradicted, merged.refused):
        lines += [f"  {path.relative_to(folder)}: {why}" for path, why in [*files.items()][:LISTED]]
        lines += [f"  and {len(files) - LISTED} more"] * (len(files) > LISTED)
    return "\n".join(lines)


def _count(files: Mapping[Path, str], what: str) -> str:
    return f", {len(files)} {what}" if files else ""
