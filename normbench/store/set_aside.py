"""Records of code that has changed since: older versions of the parts that a user works on."""

from __future__ import annotations

from pathlib import Path

from normbench.store.records import Record, UnreadableRecord, check_outcome, read_record


def changed_records(results: Path) -> list[Record]:
    """Every readable one, of each run the oldest first."""
    found = []
    for path in (results / "records" / "set_aside").glob("*.changed"):
        number = path.suffixes[0].removeprefix(".")
        try:
            record = read_record(path, lambda record, _: check_outcome(record, record["key"]))
        except (UnreadableRecord, OSError):
            continue
        found.append((int(number) if number.isdecimal() else 0, record["key"], record))
    return [record for _, _, record in sorted(found, key=lambda entry: entry[:2])]
