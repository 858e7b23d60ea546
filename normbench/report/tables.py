"""The article's tables, from records alone: one file a dataset and model, one heading a norm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import groups, norm_groups, notes, protocol_of, provenance
from normbench.analysis.welch import Sample
from normbench.drawing.text import table
from normbench.store.files import write_atomically
from normbench.store.records import Record, RecordStore, read_all

DIVERGED = "diverged"  # all runs of a cell


def write_tables(results: Path) -> dict[Path, str]:
    """Write every table of a results folder anew.

    Returns:
        File -> text.
    """
    texts = {}
    for (data, model), records in groups(
        read_all(results), lambda r: (r["config"]["data"]["name"], r["config"]["model"]["name"])
    ):
        path = Path(results) / "tables" / f"{file_name(data)}_{file_name(model)}.md"
        texts[path] = f"# {model} on {data}\n\n" + "\n".join(_protocols(records))
        write_atomically(path, texts[path])
    return texts


def print_tables(store: RecordStore, keys: Iterable[str]) -> None:
    """Print the tables of what some runs came to, one for each model and norm."""
    for what, text in tables_of(store.read_many(keys).values()):
        print(f"\n{what}\n\n{text}\n", flush=True)


def tables_of(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """What each model and norm came to: a heading and a table."""
    protocols: dict[str, list[Record]] = {}
    for record in records:
        protocols.setdefault(canonical(record["config"]), []).append(record)
    for of_protocol in protocols.values():
        config = of_protocol[0]["config"]
        for heading, text in norm_tables(of_protocol):
            yield f"{config['model']['name']} on {config['data']['name']}: {heading}", text


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        batch_size, lr: its cell.
        accuracy, loss: of the validation split after the last epoch, over the runs that finished;
            None if none did.
        best: whether no accuracy of the table is higher, to the two decimals that it is shown with.
        caveat: which runs lack or diverged, in words; empty where all is well.
    """

    batch_size: int
    lr: float
    accuracy: Sample | None
    loss: Sample | None
    best: bool
    caveat: str


def norm_rows(records: list[Record]) -> list[Row]:
    """The rows of records that differ in batch size, learning rate and seed only."""
    cells = [
        group
        for _, group in sorted(
            groups(records, lambda r: (r["batch_size"], r["lr"])), key=lambda g: g[0], reverse=True
        )
    ]
    accuracies = [Sample.of(_measured(cell, "val_accuracy")) for cell in cells]
    best = max((accuracy.mean for accuracy in accuracies if accuracy), default=None)
    return [
        Row(
            batch_size=cell[0]["batch_size"],
            lr=cell[0]["lr"],
            accuracy=accuracy,
            loss=Sample.of(_measured(cell, "val_loss")),
            best=accuracy is not None and f"{accuracy.mean:.2f}" == f"{best:.2f}",
            caveat=notes(cell, [seed for r in cell for seed in r["config"]["grid"]["seeds"]]),
        )
        for cell, accuracy in zip(cells, accuracies, strict=True)
    ]


def norm_table(records: list[Record]) -> str:
    """Rows bs, lr, accuracy, loss for records that differ in these and the seed only.

    Accuracy and loss are mean ± sample standard deviation over seeds; the best accuracy is bold.
    Diverged runs are named and stay out of the mean.
    """
    rows = []
    for row in norm_rows(records):
        accuracy = str(row.accuracy or DIVERGED)
        accuracy = f"**{accuracy}**" if row.best else accuracy
        accuracy = f"{accuracy} ({row.caveat})" if row.caveat else accuracy
        rows.append((str(row.batch_size), f"{row.lr:g}", accuracy, str(row.loss or DIVERGED)))
    return table(rows, ("bs", "lr", "Accuracy", "Loss"), "rrll")


def _protocols(records: list[Record]) -> Iterable[str]:
    """Markdown for each protocol among the records of one dataset and model."""
    protocols = groups(records, lambda r: canonical(protocol_of(r)))
    labels = distinctions([protocol_of(group[0]) for _, group in protocols])
    for (_, group), label in zip(protocols, labels, strict=True):
        if label:
            yield f"Protocol: {label}\n"
        yield f"{provenance(group)}\n"
        for heading, text in norm_tables(group):
            yield f"## {heading}\n\n{text}\n"


def norm_tables(records: list[Record]) -> Iterable[tuple[str, str]]:
    """Heading and table for each norm among records of one protocol, in the article's order."""
    for heading, group in norm_groups(records):
        yield heading, norm_table(group)


def _measured(cell: list[Record], measure: str) -> list[float]:
    return [r["epochs"][-1][measure] for r in cell if r["status"] == "finished"]


def file_name(name: str) -> str:
    """A name of a dataset or a model as part of a file's."""
    return re.sub(r"[^\w.-]+", "_", name)
