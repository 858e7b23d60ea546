"""What probes measured: one JSON file a run in results.dir/probes/PROBE, as records are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from normbench.records import RecordStore, UnreadableRecord

FOLDER = "probes"
Record = dict[str, Any]


def probe_store(results: Path, probe: str) -> RecordStore:
    """Where a probe's records are. Arrays of numbers make them long, so they have one line."""
    return RecordStore(results, f"{FOLDER}/{probe}", _check, indent=None)


def stored_probes(results: Path) -> list[str]:
    """The names of the probes that have a folder."""
    return sorted(path.name for path in (Path(results) / FOLDER).glob("*") if path.is_dir())


def read_probe(results: Path, probe: str) -> list[Record]:
    """Every readable record of a probe, by key; others are named in a warning.

    A record has ``config`` (the run's settings, and the probe's in ``config["probe"]``),
    ``batch_size``, ``lr``, ``seed``, ``status`` (finished or diverged), ``measured`` (what the
    probe's class says), ``seconds`` and ``environment``.
    """
    return probe_store(results, probe).read_all()


def _check(record: Record, name: str) -> None:
    if record["key"] != name:
        raise UnreadableRecord(f"holds the run {record['key']!r}")
    if record["status"] not in ("finished", "diverged"):
        raise UnreadableRecord(f"status {record['status']!r}")
    if not isinstance(record["measured"], dict):
        raise UnreadableRecord("nothing is measured")
    for part in ("model", "norm", "data", "probe"):
        if not isinstance(record["config"][part]["name"], str):
            raise UnreadableRecord(f"config.{part}.name is not text")
    for field in ("batch_size", "lr", "seed"):
        if not isinstance(record[field], int | float):
            raise UnreadableRecord(f"{field} is not a number")
    record["config"]["probe"]["_target_"], record["environment"]["device"]
