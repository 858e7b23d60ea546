"""The article's tables, from records alone: one file a dataset and model, one heading a norm."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.groups import groups, norm_groups, notes, protocol_of, provenance
from normbench.analysis.welch import Sample
from normbench.drawing.text import table
from normbench.store.files import write_atomically
from normbench.store.records import Record, RecordStore, read_all


def write_tables(results: Path) -> dict[Path, str]:
    """Write every table of a results folder anew.

    Returns:
        File -> text.
    """
    texts = {}
    for (data, model), records in groups(
        read_all(results), lambda r: (r["config"]["data"]["name"], r["config"]["model"]["name"])
    ):
        path = Path(results) / "tables" / f"{_file_name(data)}_{_file_name(model)}.md"
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


def norm_table(records: list[Record]) -> str:
    """Rows bs, lr, accuracy, loss for records that differ in these and the seed only.

    Accuracy and loss are those of the validation split after the last epoch, mean ± sample
    standard deviation over seeds; the best accuracy is bold. Diverged runs are named and stay out
    of the mean.
    """
    cells = [
        group
        for _, group in sorted(
            groups(records, lambda r: (r["batch_size"], r["lr"])), key=lambda g: g[0], reverse=True
        )
    ]
    means = [_mean(_measured(cell, "val_accuracy")) for cell in cells]
    best = max((mean for mean in means if mean is not None), default=None)
    rows = []
    for cell, mean in zip(cells, means, strict=True):
        accuracy = _mean_std(_measured(cell, "val_accuracy"))
        if mean is not None and f"{mean:.2f}" == f"{best:.2f}":
            accuracy = f"**{accuracy}**"
        caveat = notes(cell, [seed for r in cell for seed in r["config"]["grid"]["seeds"]])
        rows.append(
            (
                str(cell[0]["batch_size"]),
                f"{cell[0]['lr']:g}",
                f"{accuracy} ({caveat})" if caveat else accuracy,
                _mean_std(_measured(cell, "val_loss")),
            )
        )
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


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _mean_std(values: list[float]) -> str:
    return str(Sample.of(values) or "diverged")


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
