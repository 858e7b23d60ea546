"""What probes measured: one JSON file a run in results.dir/probes/PROBE, as records are kept."""

from __future__ import annotations

from pathlib import Path

from normbench.store.records import Record, RecordStore, UnreadableRecord, check_any, check_name

FOLDER = "probes"


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
    check_any(record, name)
    check_name(record, "probe")
    if not isinstance(record["measured"], dict):
        raise UnreadableRecord("nothing is measured")
    record["config"]["probe"]["_target_"]
