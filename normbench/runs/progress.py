"""What a user sees while runs train: bars on a terminal, a line a run elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from normbench.data.progress import on_terminal
from normbench.grid import Run

# Before anything is measured, a step is taken to cost as much on top of its images as this many
# images do; afterwards, what a batch size really cost decides.
STEP_OVERHEAD_IN_IMAGES = 2.0


class Progress:
    """Progress over the runs of one job, written to standard error.

    Args:
        runs: all that the job covers.
        steps_of: the number of training steps that a run takes.
        lanes: how many runs train side by side.
    """

    def __init__(self, runs: list[Run], steps_of: Callable[[Run], int], lanes: int):
        self.total, self.done, self.steps_of = len(runs), 0, steps_of
        self.waiting = {run.key: run for run in runs}
        self.started: dict[str, float] = {}
        self.seconds: dict[int, list[float]] = {}
        self.lanes = lanes
        self.terminal = on_terminal()
        self.bars: dict[str, tqdm] = {}
        if self.terminal:
            self.overall = tqdm(
                total=self.total, position=0, dynamic_ncols=True,
                bar_format="{n_fmt}/{total_fmt} runs |{bar}| {elapsed}{postfix}",
            )  # fmt: skip

    def start(self, run: Run) -> None:
        self.started[run.key] = time.monotonic()
        if self.terminal:
            taken = {-bar.pos for bar in self.bars.values()}
            self.bars[run.key] = tqdm(
                total=self.steps_of(run), desc=f"  {run}", unit="step", leave=False,
                position=next(i for i in range(1, self.lanes + 2) if i not in taken),
                dynamic_ncols=True, bar_format="{desc} {percentage:3.0f}% |{bar}| {rate_fmt}",
            )  # fmt: skip

    def advance(self, run: Run, steps: int) -> None:
        if self.terminal:
            self.bars[run.key].update(steps)

    def note(self, run: Run, text: str) -> None:
        """Something to know of a run that goes on."""
        self._say(f"{run}: {text}")

    def finish(self, run: Run, record: dict[str, Any]) -> None:
        """A run was trained here."""
        seconds = time.monotonic() - self.started[run.key]
        self.seconds.setdefault(run.batch_size, []).append(seconds)
        self._count(run, f"{_outcome(record)}  {seconds:.1f} s")

    def found(self, run: Run, record: dict[str, Any]) -> None:
        """A run needs no training here: it has a record."""
        self._count(run, f"{_outcome(record)}  already there", found=True)

    def fail(self, run: Run, reason: str) -> None:
        """A run failed."""
        self._count(run, f"FAILED: {reason}")

    def close(self) -> None:
        for bar in [*self.bars.values(), *([self.overall] if self.terminal else [])]:
            bar.close()

    def _count(self, run: Run, outcome: str, found: bool = False) -> None:
        self.done += 1
        self.waiting.pop(run.key, None)
        if run.key in self.bars:
            self.bars.pop(run.key).close()
        left = self._finish_time()
        if self.terminal:
            self.overall.update(1)
            self.overall.set_postfix_str(left.removeprefix(", "))
            left = ""
        if not (self.terminal and found):
            self._say(f"[{self.done}/{self.total}] {run}  {outcome}{left}")

    def _say(self, line: str) -> None:
        if self.terminal:
            self.overall.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def _finish_time(self) -> str:
        """When the waiting runs will be done, as ``, 3 min left (14:05)``."""
        if not self.seconds or not self.waiting:
            return ""
        seconds = sum(self._cost(run.batch_size) for run in self.waiting.values())
        seconds /= min(self.lanes, len(self.waiting))
        clock = time.strftime("%H:%M", time.localtime(time.time() + seconds))
        return f", {duration(seconds)} left (done at {clock})"

    def _cost(self, batch_size: int) -> float:
        """Seconds a run takes: measured for its batch size, or scaled from another's."""
        if batch_size in self.seconds:
            return sum(self.seconds[batch_size]) / len(self.seconds[batch_size])
        known = next(iter(self.seconds))
        ratio = (1 + STEP_OVERHEAD_IN_IMAGES / batch_size) / (1 + STEP_OVERHEAD_IN_IMAGES / known)
        return self._cost(known) * ratio


def _outcome(record: dict[str, Any]) -> str:
    if record["status"] != "finished" or "epochs" not in record:
        return record["status"]
    last = record["epochs"][-1]
    return f"accuracy {last['val_accuracy']:.3f}  loss {last['val_loss']:.3f}"


def duration(seconds: float) -> str:
    """Seconds for people: 50 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
