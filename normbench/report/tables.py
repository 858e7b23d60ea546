"""The article's tables, from records alone: one file a dataset and model, one heading a norm."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from normbench.records import Record, read_all, write_atomically
from normbench.report.settings import canonical, differences
from normbench.report.text import table
from normbench.report.welch import Sample

ARTICLE_ORDER = (
    "none", "batchnorm", "batchnorm_eps", "running_batchnorm",
    "layernorm", "groupnorm", "ws_groupnorm", "ws_bcn",
)  # fmt: skip


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
    labels = differences([protocol_of(group[0]) for _, group in protocols])
    for (_, group), label in zip(protocols, labels, strict=True):
        if label:
            yield f"Protocol: {label}\n"
        yield f"{summary(group)}\n"
        for heading, text in norm_tables(group):
            yield f"## {heading}\n\n{text}\n"


def norm_tables(records: list[Record]) -> Iterable[tuple[str, str]]:
    """Heading and table for each norm among records of one protocol, in the article's order."""
    for heading, group in norm_groups(records):
        yield heading, norm_table(group)


def norm_groups(records: list[Record]) -> Iterable[tuple[str, list[Record]]]:
    """Heading and records for each norm among records of one protocol, in the article's order."""
    for name, of_name in sorted(
        groups(records, lambda r: r["config"]["norm"]["name"]), key=lambda g: norm_rank(g[0])
    ):
        variants = groups(of_name, lambda r: canonical(r["config"]["norm"]))
        labels = differences([group[0]["config"]["norm"] for _, group in variants])
        for (_, group), label in zip(variants, labels, strict=True):
            yield f"{name} ({label})" if label else name, group


def protocol_of(record: Record) -> dict[str, Any]:
    """The settings that a record shares with those of other norms and cells."""
    return {k: v for k, v in record["config"].items() if k not in ("norm", "grid")}


def setting(records: Sequence[Record]) -> str:
    """What records of one protocol have in common, in a line that tells nothing of hardware."""
    config = records[0]["config"]
    train = config["train"]
    return (
        f"{train['epochs']} epochs, {config['optimizer']['name']}, {config['schedule']['name']}, "
        f"{config['data']['image_size']} px, {train['precision']}; validation split after the last "
        f"epoch, mean ± standard deviation over seeds."
    )


def summary(records: Sequence[Record]) -> str:
    """What records of one protocol have in common, and where they were measured."""
    devices = sorted({r["environment"]["device"] for r in records})
    commits = sorted({r["environment"]["commit"] or "release" for r in records})
    versions = sorted({r["environment"]["normbench"] for r in records})
    return (
        f"{setting(records)} Measured on {', '.join(devices)} with "
        f"normbench {', '.join(versions)} ({', '.join(commits)})."
    )


def _measured(cell: list[Record], measure: str) -> list[float]:
    return [r["epochs"][-1][measure] for r in cell if r["status"] == "finished"]


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _mean_std(values: list[float]) -> str:
    return str(Sample.of(values) or "diverged")


def notes(cell: Sequence[Record], seeds: Iterable[int]) -> str:
    """What a reader must know of a row: which of the runs that it should have diverged or lack."""
    wanted = {*seeds, *(r["seed"] for r in cell)}
    diverged = sorted(r["seed"] for r in cell if r["status"] == "diverged")
    finished = len(cell) - len(diverged)
    parts = []
    if finished < len(wanted):
        parts.append(f"{finished} of {len(wanted)} runs")
    if diverged:
        names = ", ".join(map(str, diverged))
        parts.append(f"seed{'s' if len(diverged) > 1 else ''} {names} diverged")
    return "; ".join(parts)


def norm_rank(name: str) -> tuple[int, str]:
    """Sorts norms into the article's order, others after them by name."""
    known = name in ARTICLE_ORDER
    return (ARTICLE_ORDER.index(name) if known else len(ARTICLE_ORDER), name)


def groups(
    records: Iterable[Record], key: Callable[[Record], Hashable]
) -> list[tuple[Any, list[Record]]]:
    """Records by key, both sorted, so that files do not depend on the order of reading."""
    groups: dict[Any, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["seed"], r["key"])):
        groups.setdefault(key(record), []).append(record)
    return sorted(groups.items(), key=lambda item: item[0])


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
