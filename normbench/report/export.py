"""Records out of here: tidy data as CSV, Parquet or JSON, and tables in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normbench.analysis import tidy
from normbench.errors import UserError
from normbench.report.latex import latex_tables
from normbench.store.files import write_atomically
from normbench.store.probe_records import read_probe, stored_probes
from normbench.store.records import Record, nothing_recorded, read_all

if TYPE_CHECKING:
    import pandas

FORMATS = ("csv", "parquet", "latex", "json")


def export(results: Path, kind: str, folder: Path) -> list[Path]:
    """Write all that a results folder holds into another one.

    Args:
        results: the results folder.
        kind: one of FORMATS. LaTeX has the tables of runs, the others ``runs``, ``epochs``,
            ``cells`` and, for each probe, ``probe_NAME``.
        folder: where to.

    Returns:
        The files.

    Raises:
        UserError: where nothing is recorded, or what Parquet needs is not installed.
    """
    records = read_all(results) if (results / "records").is_dir() else []
    probes = {name: read_probe(results, name) for name in stored_probes(results)}
    if not records and not any(probes.values()):
        raise nothing_recorded(results)
    if kind == "latex":
        files = {name: text.encode() for name, text in latex_tables(records)}
    else:
        files = {
            f"{name}.{kind}": _written(frame, kind) for name, frame in _frames(records, probes)
        }
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


def _frames(
    records: Sequence[Record], probes: dict[str, list[Record]]
) -> Iterator[tuple[str, pandas.DataFrame]]:
    if records:
        yield "runs", tidy.runs(records)
        yield "epochs", tidy.epochs(records)
        yield "cells", tidy.cells(records)
    for name, measured in probes.items():
        if measured:
            yield f"probe_{name}", tidy.measured(measured)


def _written(frame: pandas.DataFrame, kind: str) -> bytes:
    if kind == "csv":
        return frame.to_csv(index=False, lineterminator="\n").encode()
    if kind == "json":
        return frame.to_json(orient="records", indent=1, double_precision=15).encode() + b"\n"
    try:
        return frame.to_parquet(index=False)
    except ImportError as error:
        raise UserError(
            'format=parquet needs pyarrow, which is not installed: pip install "normbench[parquet]"'
        ) from error
