"""The record of a run: one JSON file, written whole or not at all, and never written over.

results.dir/records/KEY.json                  what was measured
results.dir/records/KEY.lock                  there while a process trains that run
results.dir/records/set_aside/KEY.N.REASON    what could not be read, or was trained again
"""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from normbench.errors import UserError

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
STATUSES = ("finished", "diverged")
log = logging.getLogger(__name__)


class UnreadableRecord(Exception):
    """The file is not a record of this schema; the message says why."""


class RecordStore:
    """The records of one results folder.

    Args:
        results: the folder.
        kind: where in it they are.
        check: raises UnreadableRecord, KeyError, TypeError or AttributeError for a record, given
            with its key, that is not one of these; None: ``check_run``.
        indent: of the JSON; None for one line.
    """

    def __init__(
        self,
        results: Path,
        kind: str = "records",
        check: Callable[[dict[str, Any], str], None] | None = None,
        indent: int | None = 1,
    ):
        self.results, self.folder = Path(results), Path(results) / kind
        self.check, self.indent = check, indent

    def make_writable(self) -> None:
        """Create the folder.

        Raises:
            UserError: if nothing can be written there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise UserError(
                f"results.dir={self.results} cannot be written ({error.strerror}): "
                "choose another folder with results.dir=DIR"
            ) from error

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def read(self, key: str) -> dict[str, Any] | None:
        """The record of a run, or None. One that cannot be read is set aside with a warning."""
        path = self.path(key)
        try:
            return read_record(path, self.check)
        except FileNotFoundError:
            return None
        except UnreadableRecord as error:
            aside = self.set_aside(key, "unreadable")
            log.warning(
                "record %s cannot be read (%s): set aside as %s", path.name, error, aside.name
            )
            return None

    def write(self, record: dict[str, Any]) -> None:
        """Store a record atomically. One that is there already is set aside, not lost."""
        if self.path(record["key"]).exists():
            self.set_aside(record["key"], "replaced")
        text = json.dumps(record, indent=self.indent, allow_nan=False)
        write_atomically(self.path(record["key"]), text)

    def read_all(self) -> list[dict[str, Any]]:
        """Every readable record, by key; others are named in a warning."""
        records = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                records.append(read_record(path, self.check))
            except UnreadableRecord as error:
                log.warning("record %s is left out: %s", path.name, error)
        return records

    def set_aside(self, key: str, reason: str) -> Path:
        """Move a record's file out of the way and return where it is now."""
        folder = self.folder / "set_aside"
        folder.mkdir(exist_ok=True)
        number = 1
        while (aside := folder / f"{key}.{number}.{reason}").exists():
            number += 1
        os.rename(self.path(key), aside)
        return aside

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Hold a run for this process: yields False if another one that is alive holds it.

        The operating system drops the lock of a process that dies. The file goes when the run
        ends; whoever opened it before that sees that it is gone and opens a new one.
        """
        lock = FileLock(self.folder / f"{key}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def read_record(
    path: Path, check: Callable[[dict[str, Any], str], None] | None = None
) -> dict[str, Any]:
    """Parse and check one record, of a run or of what else check is for.

    Raises:
        FileNotFoundError: if there is none.
        UnreadableRecord: if it is cut off, no record, or of another schema.
    """
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (ValueError, OSError) as error:
        raise UnreadableRecord(f"not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise UnreadableRecord("not a record")
    if record.get("schema") != SCHEMA:
        raise UnreadableRecord(f"schema {record.get('schema')!r}, this version reads {SCHEMA}")
    try:
        (check or check_run)(record, path.stem)
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableRecord(f"a field is missing or wrong: {error}") from error
    return record


def check_run(record: dict[str, Any], name: str) -> None:
    """Raise UnreadableRecord, or what Python does, if this is not the record of the run NAME."""
    if record["key"] != name:
        raise UnreadableRecord(f"holds the run {record['key']!r}")
    if record["status"] not in STATUSES:
        raise UnreadableRecord(f"status {record['status']!r}")
    if record["status"] == "finished" and not record["epochs"]:
        raise UnreadableRecord("finished without an epoch")
    for epoch in record["epochs"]:
        for measure in ("train_loss", "val_loss", "val_accuracy"):
            if not math.isfinite(epoch[measure]):
                raise UnreadableRecord(f"{measure} is not a number")
    for field in ("model", "norm", "data"):
        if not isinstance(record["config"][field]["name"], str):
            raise UnreadableRecord(f"config.{field}.name is not text")
    for field in ("batch_size", "lr", "seed"):
        if not isinstance(record[field], int | float):
            raise UnreadableRecord(f"{field} is not a number")
    record["config"]["train"]["precision"], record["config"]["grid"]["seeds"]
    record["environment"]["device"], record["train_seconds"] + record["images_per_second"]


def read_all(results: Path) -> list[dict[str, Any]]:
    """Every readable record of a results folder, by key; others are named in a warning."""
    return RecordStore(results).read_all()


def load_records(results: str | Path = "results") -> pandas.DataFrame:
    """Every record of a results folder, one row a run.

    Columns: key, data, model, norm, batch_size, lr, seed, status, accuracy and loss (validation,
    last epoch; missing for diverged runs), train_loss, train_seconds, images_per_second, device,
    precision, and config (the settings as a dict) and epochs (a list of dicts).

    Raises:
        UserError: if there is no such folder.
    """
    import pandas

    if not Path(results).is_dir():
        raise UserError(f"results.dir={results} does not exist: name a folder that holds results")
    rows = []
    for record in read_all(Path(results)):
        last = record["epochs"][-1] if record["status"] == "finished" else {}
        rows.append(
            {
                "key": record["key"],
                "data": record["config"]["data"]["name"],
                "model": record["config"]["model"]["name"],
                "norm": record["config"]["norm"]["name"],
                "batch_size": record["batch_size"],
                "lr": record["lr"],
                "seed": record["seed"],
                "status": record["status"],
                "accuracy": last.get("val_accuracy", math.nan),
                "loss": last.get("val_loss", math.nan),
                "train_loss": last.get("train_loss", math.nan),
                "train_seconds": record["train_seconds"],
                "images_per_second": record["images_per_second"],
                "device": record["environment"]["device"],
                "precision": record["config"]["train"]["precision"],
                "config": record["config"],
                "epochs": record["epochs"],
            }
        )
    columns = list(rows[0]) if rows else ["key", "data", "model", "norm", "batch_size", "lr"]
    return pandas.DataFrame(rows, columns=columns)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or none: to a temporary one beside it, synced, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
