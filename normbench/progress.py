"""What a user sees while runs train: bars on a terminal, a line a run elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from normbench.grid import Run

# Before anything is measured, a step is taken to cost as much on top of its images as this many
# images do; afterwards, what a batch size really cost decides.
STEP_OVERHEAD_IN_IMAGES = 2.0


class Progress:
    """Progress over the runs of one job, written to standard error.

    Args:
        runs: all that the job covers.
        steps_of: the number of training steps that a run takes.
    """

    def __init__(self, runs: list[Run], steps_of: Callable[[Run], int]):
        self.total, self.done, self.steps_of = len(runs), 0, steps_of
        self.waiting = {run.key: run for run in runs}
        self.seconds: dict[int, list[float]] = {}
        self.terminal = sys.stderr.isatty()
        if self.terminal:
            self.overall = tqdm(
                total=self.total, unit="run", position=0, dynamic_ncols=True,
                bar_format="{n_fmt}/{total_fmt} runs |{bar}| {elapsed}{postfix}",
            )  # fmt: skip
            self.current = tqdm(
                unit="step", position=1, leave=False, dynamic_ncols=True,
                bar_format="  {desc} {percentage:3.0f}% |{bar}| {rate_fmt}",
            )  # fmt: skip

    def start(self, run: Run) -> None:
        self.run_started = time.monotonic()
        if self.terminal:
            self.overall.set_postfix_str(self._finish_time())
            self.current.reset(total=self.steps_of(run))
            self.current.set_description_str(str(run))

    def advance(self, steps: int) -> None:
        if self.terminal:
            self.current.update(steps)

    def finish(self, run: Run, record: dict[str, Any]) -> None:
        """A run was trained here."""
        seconds = time.monotonic() - self.run_started
        self.seconds.setdefault(run.batch_size, []).append(seconds)
        self._count(run, f"{_outcome(record)}  {seconds:.1f} s")

    def found(self, run: Run, record: dict[str, Any]) -> None:
        """A run needs no training here: it has a record."""
        self._count(run, f"{_outcome(record)}  already there", quiet=True)

    def fail(self, run: Run, reason: str) -> None:
        """A run failed."""
        self._count(run, f"FAILED: {reason}")

    def close(self) -> None:
        if self.terminal:
            self.current.close()
            self.overall.close()

    def _count(self, run: Run, outcome: str, quiet: bool = False) -> None:
        self.done += 1
        self.waiting.pop(run.key, None)
        line = f"[{self.done}/{self.total}] {run}  {outcome}"
        if self.terminal:
            if not quiet:
                self.overall.write(line, file=sys.stderr)
            self.overall.update(1)
            self.overall.set_postfix_str(self._finish_time())
        else:
            print(line + ("" if quiet else self._finish_time()), file=sys.stderr, flush=True)

    def _finish_time(self) -> str:
        """When the waiting runs will be done, as ``, 3 min left (14:05)``."""
        if not self.seconds or not self.waiting:
            return ""
        seconds = sum(self._cost(run.batch_size) for run in self.waiting.values())
        clock = time.strftime("%H:%M", time.localtime(time.time() + seconds))
        return f", {_duration(seconds)} left (done at {clock})"

    def _cost(self, batch_size: int) -> float:
        """Seconds a run takes: measured for its batch size, or scaled from another's."""
        if batch_size in self.seconds:
            return sum(self.seconds[batch_size]) / len(self.seconds[batch_size])
        known = next(iter(self.seconds))
        ratio = (1 + STEP_OVERHEAD_IN_IMAGES / batch_size) / (1 + STEP_OVERHEAD_IN_IMAGES / known)
        return self._cost(known) * ratio


def _outcome(record: dict[str, Any]) -> str:
    if record["status"] != "finished":
        return record["status"]
    last = record["epochs"][-1]
    return f"accuracy {last['val_accuracy']:.3f}  loss {last['val_loss']:.3f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def preparation_progress() -> Iterator[Callable[[int, int, str], None]]:
    """A callback (done, total, what) that shows a bar on a terminal and one line elsewhere."""
    bar: tqdm | None = None

    def show(done: int, total: int, what: str) -> None:
        nonlocal bar
        if bar is None or bar.desc != f"{what}: ":
            if bar is not None:
                bar.close()
            if not sys.stderr.isatty():
                print(f"{what} ({total:,} images)", file=sys.stderr, flush=True)
            bar = tqdm(total=total, desc=what, disable=not sys.stderr.isatty(), leave=False)
            bar.desc = f"{what}: "
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
