"""Telling a tracker of runs, beside training: one that is down never stops or loses a run."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from normbench.explain import first_line
from normbench.store.records import Record
from normbench.trackers.tracked import TrackedRun, Tracker

log = logging.getLogger(__name__)

LONGEST_WAIT = 60.0  # seconds at the end, for what is not told yet


class Tracking:
    """Tells a tracker of runs in a thread of its own, in their order.

    After the first error it tells no more, and says in the end how many runs were not told: records
    have them all, and the same command tells what is left.

    Args:
        tracker: None for none.
        wait: seconds that ``close`` waits for.
    """

    def __init__(self, tracker: Tracker | None, wait: float = LONGEST_WAIT):
        self.tracker, self.wait = tracker, wait
        self.left, self.error = 0, ""
        self.tasks: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def told(self, record: Record) -> None:
        """A run has a record."""
        if self.tracker is None:
            return
        tracker = self.tracker
        self._do(lambda: tracker.track(TrackedRun.of(record)))

    def report(self, files: Mapping[str, Path]) -> None:
        """Tables and figures are written."""
        if self.tracker is None or not files:
            return
        tracker = self.tracker
        self._do(lambda: tracker.report(files))

    def close(self) -> None:
        """Wait until all is told, or not."""
        if self.thread is None or self.tracker is None:
            return
        self.tasks.put(None)
        self.thread.join(self.wait)
        if self.thread.is_alive() and not self.error:
            self.error = f"it took more than {self.wait:g} s"
        if self.left:
            print(
                f"normbench: tracker={type(self.tracker).__name__}: {self.error}; {self.left} not "
                "told of, all of it recorded: type the same command again to tell it",
                file=sys.stderr,
            )

    def _do(self, task: Callable[[], Any]) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, daemon=True, name="tracker")
            self.thread.start()
        self.left += 1
        self.tasks.put(task)

    def _work(self) -> None:
        assert self.tracker is not None
        while (task := self.tasks.get()) is not None:
            if self.error:
                continue
            try:
                task()
                self.left -= 1
            except Exception as error:
                self.error = f"{type(error).__name__}: {first_line(error)}"
                log.info("the tracker failed", exc_info=True)
        if not self.error:
            self.tracker.close()
