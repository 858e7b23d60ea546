#!/usr/bin/env python3
"""Bring the records of results folders to the schema of today, losing none.

    scripts/migrate_records.py results results/calibration
    scripts/migrate_records.py --check results      # says what it would do

Schema 1 -> 2: a run's key, and what its record holds of its settings, no longer depend on where in
the package our own parts lie (``normbench.store.keys``); a record carries a checksum, the digests
of parts from outside the project (not known of older ones), and the number of norm layers that were
found in the network (not known either).

Every new file is written beside the old ones and read back; old files go when all of a folder's are
there: as many as before, no two runs under one key, every measured number the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normbench.store.files import write_atomically
from normbench.store.keys import OURS, checksum, run_key, stable
from normbench.store.records import SCHEMA, check_outcome, read_record

MEASURED = ("batch_size", "lr", "seed", "epochs", "status", "measured", "environment")
MEASURED += ("train_seconds", "evaluation_seconds", "images_per_second", "seconds")


def migrated(old: dict[str, Any]) -> dict[str, Any]:
    """A record of schema 1 as one of schema 2."""
    settings = {part: of for part, of in old["config"].items() if part != "grid"}
    new = {
        **old,
        "schema": SCHEMA,
        "key": run_key(settings, old["batch_size"], old["lr"], old["seed"]),
        "config": stable(old["config"]),
        "outside": dict.fromkeys(outside(settings)),
        "norm_layers": None,
    }
    return new | {"checksum": checksum(new)}


def outside(settings: Any) -> Iterator[str]:
    """The import paths of parts that are not normbench's own."""
    if isinstance(settings, dict):
        target = settings.get("_target_", OURS)
        if not target.startswith((OURS, "torch.", "torchvision.")):
            yield target
        for value in settings.values():
            yield from outside(value)


def migrate(folder: Path, check: bool) -> int:
    """Migrate the records of one folder (of files KEY.json); how many there are."""
    old = {path: json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}
    old = {path: record for path, record in old.items() if record.get("schema") == 1}
    new = {path: migrated(record) for path, record in old.items()}
    keys = {record["key"] for record in new.values()}
    if len(keys) != len(new):
        sys.exit(f"{folder}: {len(new)} records would have {len(keys)} keys; nothing was changed")
    if taken := [key for key in keys if (folder / f"{key}.json").exists()]:
        sys.exit(f"{folder}: {taken[0]}.json is there already; nothing was changed")
    if check:
        return len(new)
    for path, record in new.items():
        indent = 1 if "\n" in path.read_text() else None  # as it was written
        written = folder / f"{record['key']}.json"
        write_atomically(written, json.dumps(record, indent=indent, allow_nan=False))
        verify = check_outcome if "epochs" in record else (lambda *_: None)
        back = read_record(written, verify)
        differing = [name for name in MEASURED if back.get(name) != old[path].get(name)]
        if differing:
            sys.exit(f"{written}: {', '.join(differing)} changed; the old records are all there")
    for path in old:
        path.unlink()
    return len(new)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+", help="folders that hold records/, probes/")
    parser.add_argument("--check", action="store_true", help="change nothing")
    arguments = parser.parse_args()
    total = 0
    for results in arguments.results:
        for folder in [results / "records", *sorted((results / "probes").glob("*/"))]:
            if count := migrate(folder, arguments.check):
                print(f"{folder}: {count} records")
            total += count
        if not arguments.check:  # what was asked for is known by older keys
            for path in (results / "grids").glob("*.json"):
                path.unlink()
    print(f"{total} records {'to migrate' if arguments.check else 'migrated, none lost'}")


if __name__ == "__main__":
    main()
