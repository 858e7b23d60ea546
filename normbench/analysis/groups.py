"""Records sorted into groups, and what those of a group have in common, in words."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from normbench.analysis.differences import canonical, differences
from normbench.analysis.reference import article_norms
from normbench.store.records import Record


def groups(
    records: Iterable[Record], key: Callable[[Record], Hashable]
) -> list[tuple[Any, list[Record]]]:
    """Records by key, both sorted, so that files do not depend on the order of reading."""
    groups: dict[Any, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["seed"], r["key"])):
        groups.setdefault(key(record), []).append(record)
    return sorted(groups.items(), key=lambda item: item[0])


def protocol_of(record: Record) -> dict[str, Any]:
    """The settings that a record shares with those of other norms and cells."""
    return {k: v for k, v in record["config"].items() if k not in ("norm", "grid")}


def norm_groups(records: list[Record]) -> Iterable[tuple[str, list[Record]]]:
    """Heading and records for each norm among records of one protocol, in the article's order."""
    for name, of_name in sorted(
        groups(records, lambda r: r["config"]["norm"]["name"]), key=lambda g: norm_rank(g[0])
    ):
        variants = groups(of_name, lambda r: canonical(r["config"]["norm"]))
        labels = differences([group[0]["config"]["norm"] for _, group in variants])
        for (_, group), label in zip(variants, labels, strict=True):
            yield f"{name} ({label})" if label else name, group


def by_norm(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by norm, in the article's order; a norm's settings are named where they differ."""
    return dict(norm_groups(list(records)))


def norm_rank(name: str) -> tuple[int, str]:
    """Sorts norms into the article's order, others after them by name."""
    order = article_norms()
    return (order.index(name) if name in order else len(order), name)


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
