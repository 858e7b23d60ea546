"""The record of a run: one JSON file, written whole or not at all, and never written over.

results.dir/records/KEY.json                  what was measured
results.dir/records/set_aside/KEY.N.REASON    what could not be read, or was trained again
results.dir/locks/KEY.lock                    there while a process trains that run
results.dir/failures/KEY.json                 why that run failed, until it has a record
results.dir/weights/KEY.safetensors           what that run trained, where it was asked for
results.dir/checkpoints/KEY.pt                that run after an epoch, until it has a record
"""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from normbench.errors import UserError
from normbench.store.files import remove_abandoned, write_atomically
from normbench.store.keys import checksum
from normbench.store.locks import Locks

SCHEMA = 2
STATUSES = ("finished", "diverged")
READERS, BATCH = 16, 32  # files that are read at the same time, and by each in one go
log = logging.getLogger(__name__)

Record = dict[str, Any]
Check = Callable[[Record, str], None]


class UnreadableRecord(Exception):
    """The file is not a record of this schema; the message says why."""


class OlderRecord(UnreadableRecord):
    """The file is a record of an older schema, which ``scripts/migrate_records.py`` knows."""


class RecordStore:
    """The records of one results folder, and the claims on what is to be recorded there.

    Every method raises UserError where the folder cannot be read or written.

    Args:
        results: the folder.
        kind: where in it they are.
        check: raises UnreadableRecord, KeyError, TypeError or AttributeError for a record, given
            with its key, that is not one of these.
        indent: of the JSON; None for one line.
    """

    def __init__(
        self,
        results: Path,
        kind: str = "records",
        check: Check | None = None,
        indent: int | None = 1,
    ):
        self.results, self.folder = Path(results), Path(results) / kind
        self.check, self.indent = check or check_outcome, indent
        self.locks = Locks(self.results / "locks")  # keys of all kinds differ

    def make_writable(self) -> None:
        """Create the folder, and find out whether anything can be written there."""
        with self._using():
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass

    def tidy(self) -> None:
        """Remove what processes of this host that were killed have left."""
        with self._using():
            self.locks.tidy()
            remove_abandoned(self.results)
            for path in (self.results / "checkpoints").glob("*.pt"):
                if self.path(path.stem).exists():
                    path.unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def weights(self, key: str) -> Path:
        return self.results / "weights" / f"{key}.safetensors"

    def checkpoint(self, key: str) -> Path:
        return self.results / "checkpoints" / f"{key}.pt"

    def read(self, key: str) -> Record | None:
        """The record of a run, or None. One that cannot be read is set aside with a warning."""
        path = self.path(key)
        with self._using():
            try:
                return read_record(path, self.check)
            except (FileNotFoundError, OlderRecord):
                return None
            except UnreadableRecord as error:
                if aside := self.set_aside(key, "unreadable"):
                    log.warning(
                        "record %s cannot be read (%s): set aside as %s",
                        path.name, error, aside.name,
                    )  # fmt: skip
                return None

    def read_many(self, keys: Iterable[str]) -> dict[str, Record]:
        """The records that there are of some runs, in their order."""
        with self._using():
            there = {name[:-5] for name in os.listdir(self.folder) if name.endswith(".json")}
        wanted = [key for key in keys if key in there]
        found = {}
        for key, there_is in zip(wanted, self._read_files(map(self.path, wanted)), strict=True):
            # reading it alone does what there is to be done about one that cannot be read
            record = self.read(key) if isinstance(there_is, Exception) else there_is
            if record is not None:
                found[key] = record
        return found

    def read_all(self) -> list[Record]:
        """Every readable record, by key; others are named in a warning."""
        paths = sorted(self.folder.glob("*.json"))
        records, older = [], 0
        for path, record in zip(paths, self._read_files(paths), strict=True):
            if not isinstance(record, Exception):
                records.append(record)
            elif isinstance(record, OlderRecord):
                older += 1
            elif not isinstance(record, FileNotFoundError):  # set aside since the folder was read
                log.warning("record %s is left out: %s", path.name, record)
        if older:
            log.warning(
                "%s holds %s records of an older version, which are left out: "
                "scripts/migrate_records.py brings them over",
                self.folder, f"{older:,}",
            )  # fmt: skip
        return records

    def _read_files(self, paths: Iterable[Path]) -> Iterator[Record | Exception]:
        """Each file's record, or what stands against it.

        Side by side: a network file system takes its time for every file, but has it for many.
        """

        def attempt(path: Path) -> Record | Exception:
            try:
                return read_record(path, self.check)
            except (UnreadableRecord, OSError) as error:
                return error

        paths = list(paths)
        batches = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
        with ThreadPoolExecutor(READERS) as pool:
            for found in pool.map(lambda batch: [attempt(path) for path in batch], batches):
                yield from found

    def write(self, record: Record) -> None:
        """Store a record atomically. One that is there already is set aside, not lost."""
        path = self.path(record["key"])
        record = record | {"checksum": checksum(record)}
        text = json.dumps(record, indent=self.indent, allow_nan=False)
        with self._using():
            if path.exists():
                self.set_aside(record["key"], "replaced")
            write_atomically(path, text)
            self._failure(record["key"]).unlink(missing_ok=True)
            self.checkpoint(record["key"]).unlink(missing_ok=True)

    def write_failure(self, key: str, run: str, error: str, details: str) -> None:
        """Note why a run failed, until it has a record."""
        failure = {"run": run, "error": error, "details": details}
        with self._using():
            write_atomically(self._failure(key), json.dumps(failure, indent=1))

    def _failure(self, key: str) -> Path:
        return self.results / "failures" / f"{key}.json"

    def set_aside(self, key: str, reason: str) -> Path | None:
        """Move a record's file out of the way.

        Returns:
            Where it is now; None if it is not there (any more).
        """
        folder = self.folder / "set_aside"
        with self._using():
            folder.mkdir(exist_ok=True)
            number = 1
            while True:
                aside = folder / f"{key}.{number}.{reason}"
                try:
                    aside.touch(exist_ok=False)  # the number is ours
                    break
                except FileExistsError:
                    number += 1
            try:
                os.replace(self.path(key), aside)
            except FileNotFoundError:
                aside.unlink()
                return None
            return aside

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Hold a run for this process: yields False if another one that is alive holds it."""
        with self._using():
            mine = self.locks.acquire(key)
        try:
            yield mine
        finally:
            if mine:
                with self._using():
                    kept = self.locks.release(key)
                if not kept:
                    log.warning(
                        "this process was taken for gone while it trained run %s: another one may "
                        "have trained it, too",
                        key,
                    )

    @contextmanager
    def _using(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"results.dir={self.results} cannot be used ({error.strerror or error}): repair "
                "that, or choose another folder with results.dir=DIR; what is recorded is kept"
            ) from error


def read_record(path: Path, check: Check) -> Record:
    """Parse and check one record, of a run or of what else check is for.

    Raises:
        OSError: if there is none, or the file cannot be opened.
        UnreadableRecord: if it is cut off, no record, or of another schema.
    """
    content = path.read_bytes()
    try:
        record = json.loads(content)
    except ValueError as error:
        raise UnreadableRecord(f"not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise UnreadableRecord("not a record")
    if (schema := record.get("schema")) != SCHEMA:
        older = isinstance(schema, int) and 0 < schema < SCHEMA
        kind = OlderRecord if older else UnreadableRecord
        raise kind(f"schema {schema!r}, this version reads {SCHEMA}")
    try:
        unchanged = record.get("checksum") == checksum(record)
    except ValueError:  # infinity or NaN, which Python reads though JSON has neither
        unchanged = False
    if not unchanged:
        raise UnreadableRecord("its checksum is not that of what it holds: it was changed")
    try:
        check(record, path.stem)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableRecord(f"a field is missing or wrong: {error}") from error
    return record


def check_any(record: Record, name: str) -> None:
    """Raise UnreadableRecord, or what Python does, if this is not a record of the run NAME."""
    if record["key"] != name:
        raise UnreadableRecord(f"holds the run {record['key']!r}")
    if record["status"] not in STATUSES:
        raise UnreadableRecord(f"status {record['status']!r}")
    for part in ("model", "norm", "data"):
        check_name(record, part)
    for field in ("batch_size", "lr", "seed"):
        check_number(record, field)
    record["environment"]["device"]


def check_name(record: Record, part: str) -> None:
    if not isinstance(record["config"][part]["name"], str):
        raise UnreadableRecord(f"config.{part}.name is not text")


def check_number(record: Record, field: str) -> None:
    if not isinstance(record[field], int | float):
        raise UnreadableRecord(f"{field} is not a number")


def check_outcome(record: Record, name: str) -> None:
    """Raise UnreadableRecord, or what Python does, if this does not say how the run NAME ended."""
    check_any(record, name)
    if record["status"] == "finished" and not record["epochs"]:
        raise UnreadableRecord("finished without an epoch")
    for epoch in record["epochs"]:
        for measure in ("train_loss", "val_loss", "val_accuracy"):
            if not math.isfinite(epoch[measure]):
                raise UnreadableRecord(f"{measure} is not a number")
    for field in ("train_seconds", "images_per_second"):
        check_number(record, field)
    record["config"]["train"]["precision"], record["config"]["grid"]["seeds"]


def read_all(results: Path) -> list[Record]:
    """Every readable record of a results folder, by key; others are named in a warning."""
    return RecordStore(results).read_all()


def nothing_recorded(results: Path) -> UserError:
    """What to tell a user whose results folder holds no record at all."""
    return UserError(
        f"results.dir={results} holds no records: train some with normbench run, "
        "or name another folder with results.dir=DIR"
    )
