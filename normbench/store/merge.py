"""Records of another results folder brought into this one: checked, nothing written over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from normbench.store.keys import run_key
from normbench.store.probe_records import probe_store, stored_probes
from normbench.store.records import (
    OlderRecord,
    Record,
    RecordStore,
    UnreadableRecord,
    nothing_recorded,
    read_record,
)

OUTCOME = ("status", "epochs", "measured", "outside")  # what another record may contradict


@dataclass
class Merged:
    """What became of the records of a folder.

    Attributes:
        added: how many are here now that were not.
        there: how many were here, with the same outcome.
        contradicted: of each run that has another outcome here, which is kept: file and why.
        refused: of each file that was not taken: file and why.
    """

    added: int = 0
    there: int = 0
    contradicted: dict[Path, str] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)


def merge(source: Path, results: Path) -> Merged:
    """Bring the records of runs and probes of a folder into another one.

    The same again changes nothing. What is being trained here is refused, as it will be recorded.

    Raises:
        UserError: if the first holds no records, or the other cannot be written.
    """
    merged = Merged()
    stores = list(_stores(source, results))
    if not stores:
        raise nothing_recorded(source)
    for theirs, ours in stores:
        ours.make_writable()
        for path in sorted(theirs.folder.glob("*.json")):
            _take(path, theirs, ours, merged)
    return merged


def _stores(source: Path, results: Path) -> Iterator[tuple[RecordStore, RecordStore]]:
    if (source / "records").is_dir():
        yield RecordStore(source), RecordStore(results)
    for name in stored_probes(source):
        yield probe_store(source, name), probe_store(results, name)


def _take(path: Path, theirs: RecordStore, ours: RecordStore, merged: Merged) -> None:
    try:
        record = read_record(path, theirs.check)
        _check_key(record)
    except OlderRecord as error:
        merged.refused[path] = f"{error}: scripts/migrate_records.py brings it over"
        return
    except (UnreadableRecord, OSError) as error:
        merged.refused[path] = str(error)
        return
    with ours.claim(record["key"]) as mine:
        if not mine:
            merged.refused[path] = "its run is being trained here"
        elif not ours.path(record["key"]).exists():
            ours.write(record)
            merged.added += 1
        elif why := _contradiction(record, ours):
            merged.contradicted[path] = why
        else:
            merged.there += 1


def _check_key(record: Record) -> None:
    """Raise UnreadableRecord unless a record's key is that of what it says was run."""
    settings = {name: value for name, value in record["config"].items() if name != "grid"}
    key = run_key(settings, record["batch_size"], record["lr"], record["seed"])
    if key != record["key"]:
        raise UnreadableRecord(f"its settings are those of another run, {key}")


def _contradiction(record: Record, ours: RecordStore) -> str:
    """How the record that is here differs in its outcome; empty if it does not."""
    try:
        here = read_record(ours.path(record["key"]), ours.check)
    except (UnreadableRecord, OSError) as error:
        return f"the record here cannot be read ({error})"
    differ = [part for part in OUTCOME if record.get(part) != here.get(part)]
    if not differ:
        return ""
    if "outside" in differ:
        return f"its code is another ({', '.join(sorted(record.get('outside') or {}))})"
    if "epochs" in differ and record["status"] == here["status"] == "finished":
        accuracies = [r["epochs"][-1]["val_accuracy"] for r in (here, record)]
        return "accuracy {:.4f} here, {:.4f} there".format(*accuracies)
    return f"{' and '.join(differ)} differ"
