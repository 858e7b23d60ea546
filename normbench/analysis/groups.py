"""Records sorted into groups, and what those of a group have in common, in words."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from normbench.analysis.differences import canonical, distinctions
from normbench.analysis.reference import article_norms
from normbench.store.records import Record


def groups(
    records: Iterable[Record], key: Callable[[Record], Hashable]
) -> list[tuple[Any, list[Record]]]:
    """Records by key, both sorted, so that files do not depend on the order of reading."""
    found: dict[Any, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r["seed"], r["key"])):
        found.setdefault(key(record), []).append(record)
    return sorted(found.items(), key=lambda item: item[0])


def protocol_of(record: Record) -> dict[str, Any]:
    """The settings that a record shares with those of other norms and cells."""
    return {k: v for k, v in record["config"].items() if k not in ("norm", "grid")}


def norm_groups(
    records: Iterable[Record], known: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[tuple[str, list[Record]]]:
    """Heading and records for each norm among records of one protocol, in the article's order.

    Args:
        records: of any norms. Those of one name with several settings are told apart by these.
        known: norm -> the settings that its name alone stands for, so that others are told apart
            from them as well.
    """
    for name, of_name in sorted(
        groups(records, lambda r: r["config"]["norm"]["name"]), key=lambda g: norm_rank(g[0])
    ):
        variants = groups(of_name, lambda r: canonical(r["config"]["norm"]))
        plain = [known[name]] if known and name in known else []
        labels = distinctions(plain + [group[0]["config"]["norm"] for _, group in variants])
        for (settings, group), label in zip(variants, labels[len(plain) :], strict=True):
            bare = not label or settings in map(canonical, plain)
            yield (name if bare else f"{name} ({label})"), group


def by_norm(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by norm, in the article's order; a norm's settings are named where they differ."""
    return dict(norm_groups(records))


def norm_rank(name: str) -> tuple[int, str]:
    """Sorts norms into the article's order, others after them by name."""
    order = article_norms()
    return (order.index(name) if name in order else len(order), name)


def conditions(records: Sequence[Record]) -> str:
    """What records of one protocol have in common, in a line that tells nothing of hardware."""
    config = records[0]["config"]
    train = config["train"]
    epochs, held_out = train["epochs"], config["data"].get("held_out")
    split = f"{held_out:.0%} of the training set, held out," if held_out else "validation split"
    return (
        f"{epochs} epoch{'s' * (epochs != 1)}, {config['optimizer']['name']}, "
        f"{config['schedule']['name']}, {config['data']['image_size']} px, {train['precision']}; "
        f"{split} after the last epoch, mean ± standard deviation over seeds."
    )


def provenance(records: Sequence[Record]) -> str:
    """What records of one protocol have in common, and where they were measured."""
    devices = sorted({r["environment"]["device"] for r in records})
    commits = sorted({r["environment"]["commit"] or "release" for r in records})
    versions = sorted({r["environment"]["normbench"] for r in records})
    return (
        f"{conditions(records)} Measured on {', '.join(devices)} with "
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
