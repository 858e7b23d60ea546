"""What norms cost besides accuracy, from what probes measured of the same network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from normbench.analysis.differences import canonical
from normbench.analysis.groups import groups
from normbench.analysis.ranking import Ranking
from normbench.drawing.text import filled, table
from normbench.probes.learning_rate_range import trains_by_rate
from normbench.probes.overhead import overhead
from normbench.store.records import Record

PROBES = "overhead", "learning_rate_range"
PARTS = {"train": "step", "kept": "memory"}
Column = dict[str, str]  # norm -> what it says of it


def costs(
    ranking: Ranking, settings: Mapping[str, Any], probes: Mapping[str, Sequence[Record]]
) -> Iterator[str]:
    """Paragraphs: diverged runs, time and memory of a training step, learning rates that train.

    Args:
        ranking: of which norms.
        settings: what their runs have in common.
        probes: ``PROBES`` -> records of any settings.
    """
    columns = {"diverged": _diverged(ranking)}
    overheads = _alike(probes.get("overhead", ()), settings)
    for (size, reference), records in reversed(groups(overheads, _overhead_kind)):
        for part, name in PARTS.items():
            columns[f"{name} (×{reference}), {size}"] = {
                norm: f"{overhead(of, size, part)[1]:.2f}"
                for norm, of in _by_norm(records, ranking).items()
            }
    ranges = _alike(probes.get("learning_rate_range", ()), settings)
    for (size, optimizer, steps), records in reversed(groups(ranges, _range_kind)):
        columns[f"trains ({optimizer}, {steps or 'all'} steps), {size}"] = {
            norm: _range(of) for norm, of in _by_norm(records, ranking).items()
        }
    yield "## Beside accuracy"
    lines = [[norm, *(of.get(norm, "–") for of in columns.values())] for norm in ranking.norms]
    yield table(lines, ["norm", *columns], "l" + "r" * len(columns))
    told = "Diverged: of how many runs."
    if overheads:
        told += (
            " Step: the time of a training step; memory: what its forward pass keeps for the "
            "backward pass; both as multiples, at a batch size (normbench probe probe=overhead, "
            "median)."
        )
    if ranges:
        told += (
            " Trains: the lowest and the highest learning rate tried at which every seed trains, "
            "at a batch size (normbench probe probe=learning_rate_range); ≤ ≥: none was tried "
            "beyond it."
        )
    yield filled(told)
    lacking = [name for name, of in zip(PROBES, (overheads, ranges), strict=True) if not of]
    if lacking:
        commands = " and ".join(f"normbench probe probe={name}" for name in lacking)
        yield filled(f"Not measured: what {commands} would tell.")


def _diverged(ranking: Ranking) -> Column:
    found = {}
    for norm in ranking.norms:
        cells = [of[norm] for of in ranking.cells.values() if norm in of]
        runs = sum(len(cell.records) for cell in cells)
        found[norm] = f"{runs - sum(len(cell.finished) for cell in cells)} of {runs}"
    return found


def _alike(records: Sequence[Record], settings: Mapping[str, Any]) -> list[Record]:
    """Records of the network and the data that are ranked, with whatever optimizer."""

    def about(config: Mapping[str, Any]) -> str:
        return canonical([config["model"], config["data"], config["train"]["precision"]])

    wanted = about(settings)
    return [record for record in records if about(record["config"]) == wanted]


def _by_norm(records: Sequence[Record], ranking: Ranking) -> dict[str, list[Record]]:
    """By the ranking's names of norms; those of other settings are left out."""
    names = {
        canonical(cell.records[0]["config"]["norm"]): norm
        for of in ranking.cells.values()
        for norm, cell in of.items()
    }
    found: dict[str, list[Record]] = {}
    for record in records:
        if name := names.get(canonical(record["config"]["norm"])):
            found.setdefault(name, []).append(record)
    return found


def _overhead_kind(record: Record) -> tuple[int, str]:
    return record["batch_size"], record["config"]["probe"]["reference"]


def _range_kind(record: Record) -> tuple[int, str, int]:
    config = record["config"]
    return record["batch_size"], config["optimizer"]["name"], config["probe"]["steps"] or 0


def _range(group: list[Record]) -> str:
    rates = trains_by_rate(group)
    trained = [rate for rate, trains in rates.items() if all(trains)]
    if not trained:
        return "none"
    low, high = min(trained), max(trained)
    first, last = "≤" * (low == min(rates)), "≥" * (high == max(rates))
    return f"{first}{low:g} to {last}{high:g}"
