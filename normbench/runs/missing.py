"""Which runs of a grid are missing, and how processes share the training of them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType

from normbench.engine.lanes import Event, Lanes
from normbench.grid import Run
from normbench.outside import changed_parts
from normbench.store.files import write_atomically
from normbench.store.records import Record, RecordStore

WAIT_FOR_OTHERS = 0.5  # seconds between two looks at runs that other processes train, at first
LONGEST_WAIT = 5.0  # and later, so that many processes that wait do not keep a file server busy
LOOK_AGAIN = 2.0  # seconds after which others may have recorded enough to look through the folder


def announce(results: Path, runs: list[Run]) -> None:
    """Note in the results folder which runs are wanted there, for ``normbench status``."""
    settings = runs[0].settings
    parts = ("data", "model", "norm", "probe")
    names = {part: settings.get(part, {}).get("name", "") for part in parts}
    wanted = {
        **names,
        "epochs": settings["train"]["epochs"],
        "runs": [[run.key, run.batch_size, run.lr, run.seed] for run in runs],
    }
    digest = hashlib.sha256("".join(run.key for run in runs).encode()).hexdigest()[:8]
    label = re.sub(r"[^\w.-]+", "_", "_".join(filter(None, names.values())))[:80]
    path = Path(results) / "grids" / f"{label}_{digest}.json"
    if not path.exists():
        write_atomically(path, json.dumps(wanted))


def forget(results: Path) -> int:
    """Forget which runs were wanted and which failed, until they are asked for again.

    Returns:
        How many notes of these there were.
    """
    notes = [*(results / "grids").glob("*.json"), *(results / "failures").glob("*.json")]
    for note in notes:
        note.unlink(missing_ok=True)
    return len(notes)


class Missing:
    """The runs of a grid that have no record yet, handed out one by one.

    A run that is handed out is claimed for this process until it is finished, so that processes
    that share a results folder share its work.

    Args:
        runs: what has to have a record in the end.
        store: where records are.
        force: hand out runs that have a record, too.
        found: called with a run that needs no training here, and its record.
        outside: import path -> digest of the source, of the runs' parts from outside the project. A
            record of other source is set aside: its run is not done.
        changed: called with such a run, and the import paths of the parts that changed.
    """

    def __init__(
        self,
        runs: list[Run],
        store: RecordStore,
        force: bool,
        found: Callable[[Run, Record], None],
        outside: Mapping[str, str] = MappingProxyType({}),
        changed: Callable[[Run, list[str]], None] = lambda run, parts: None,
    ):
        self.store, self.force, self.found = store, force, found
        self.outside, self.changed = outside, changed
        self.open = {run.key: run for run in runs}
        self.claims: dict[str, ExitStack] = {}
        self.looked: float | None = None  # when the folder was last looked through
        self.wait, self.again = WAIT_FOR_OTHERS, time.monotonic()

    def take(self) -> Run | None:
        """A run to train; None while other processes train all that is open."""
        if time.monotonic() < self.again:
            return None
        self._drop_recorded()
        for run in list(self.open.values()):
            with ExitStack() as stack:
                if not stack.enter_context(self.store.claim(run.key)):
                    continue
                if not self.force and (record := self.store.read(run.key)):
                    if self._drop(run, record):  # it was finished since the look
                        continue
                if self.force:  # from the first step on
                    self.store.checkpoint(run.key).unlink(missing_ok=True)
                del self.open[run.key]
                self.claims[run.key] = stack.pop_all()
                self.wait = WAIT_FOR_OTHERS
                return run
        self.again = time.monotonic() + self.wait
        self.wait = min(2 * self.wait, LONGEST_WAIT)
        return None

    def finish(self, run: Run, record: Record | None, failure: str, details: str) -> None:
        """Store what came of a run that was handed out, and give it free.

        Args:
            run: what ended.
            record: its record, or None if it failed.
            failure: why, in one line. details: in more.
        """
        with self.claims.pop(run.key):
            if record is not None:
                self.store.write(record)
            else:
                self.store.write_failure(run.key, str(run), failure, details)

    def close(self) -> None:
        """Give everything free that is handed out."""
        for claim in self.claims.values():
            claim.close()
        self.claims.clear()

    def _drop_recorded(self) -> None:
        """Look through the whole folder: at first, and now and then."""
        now = time.monotonic()
        if self.force or (self.looked is not None and now - self.looked < LOOK_AGAIN):
            return
        for key, record in self.store.read_many(self.open).items():
            self._drop(self.open[key], record)
        self.looked = time.monotonic()

    def _drop(self, run: Run, record: Record) -> bool:
        """Take a run for done, unless its record is of code that has changed since."""
        if parts := changed_parts(record.get("outside"), self.outside):
            self.store.set_aside(run.key, "changed")
            self.changed(run, parts)
            return False
        del self.open[run.key]
        self.found(run, record)
        return True


def train_missing(
    missing: Missing,
    lanes: Lanes,
    started: Callable[[Run], None],
    handle: Callable[[Event], Record | None],
    recorded: Callable[[Record], None] = lambda record: None,
) -> None:
    """Keep the lanes busy until every run has a record or has failed.

    Args:
        missing: the runs.
        lanes: what trains them.
        started: called with a run before it trains.
        handle: called with every event; returns the record of a run that ended with a result.
        recorded: called with a record once it is stored.
    """
    with closing(lanes), closing(missing):
        busy = 0
        while True:
            while lanes.idle and (run := missing.take()):
                started(run)
                lanes.start(run)
                busy += 1
            if not busy and not missing.open:
                return
            if not busy:
                time.sleep(WAIT_FOR_OTHERS)
                continue
            # with lanes to spare, look again now and then at what other processes hold
            waiting_for_others = missing.open and lanes.idle
            for event in lanes.wait(WAIT_FOR_OTHERS if waiting_for_others else None):
                record = handle(event)
                if event.ended:
                    missing.finish(event.task, record, event.error or "", event.details)
                    if record is not None:
                        recorded(record)
                    busy -= 1
