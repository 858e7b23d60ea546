"""What a probe is."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from normbench.errors import UserError
from normbench.store.records import Record

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from normbench.data.dataset import Dataset
    from normbench.engine.training import Plan
    from normbench.probes.watching import Watched


@dataclass
class Measurement:
    """What a probe brings back from one run.

    Attributes:
        measured: numbers and text in dicts and lists, as JSON has them; None where a number would
            not be finite.
        status: finished, or diverged for a run whose loss stopped being finite.
        seconds: wall time.
    """

    measured: dict[str, Any]
    status: str = "finished"
    seconds: float = 0.0


class Probe:
    """A measurement on a run: a dataclass whose fields are its settings.

    Attributes:
        together: by what the records in one figure differ, besides the norm.
    """

    together: ClassVar[tuple[str, ...]] = ("seed",)

    def check(self, network: torch.nn.Module, steps: int) -> None:
        """Raise UserError for a setting that does not fit a network or a run of so many steps."""

    def length(self, steps: int) -> int:
        """How many training steps the probe takes on a run of so many."""
        return steps

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        """Measure.

        Args:
            plan: the run.
            data: both splits, on the device.
            device: where to train.

        Yields:
            The number of training steps since the last time, now and then.
        """
        raise NotImplementedError

    @staticmethod
    def draw(records: list[Record]) -> Figure:
        """The figure of some records, from nothing but them: ``drawing`` has the means."""
        raise NotImplementedError

    @staticmethod
    def summarize(records: list[Record]) -> str:
        """What the figure shows, as markdown."""
        return ""


def check_every(every: int, steps: int) -> None:
    """Raise UserError unless something can happen every so many of the watched steps."""
    if not 1 <= every <= steps:
        raise UserError(
            f"probe.every={every} is not valid: {steps} steps are watched, so give a number from "
            f"1 to {steps}"
        )


def check_at(at: Sequence[int], steps: int) -> None:
    """Raise UserError unless these are numbers of steps that are done at some time, in order."""
    wrong = next((step for step in at if not 0 <= step <= steps), None)
    if wrong is not None or not at or list(at) != sorted(set(at)):
        what = f" has {wrong}" if wrong is not None else f"={list(at)} is not valid"
        raise UserError(
            f"probe.at{what}: {steps} steps are watched, so give rising numbers from 0 to {steps}"
        )


def check_positive(name: str, values: Sequence[float]) -> None:
    """Raise UserError unless these are one or more positive numbers."""
    if not values or not all(0 < value < math.inf for value in values):
        raise UserError(f"{name}={list(values)} is not valid: give one or more positive numbers")


@dataclass(kw_only=True)
class WatchingProbe(Probe):
    """A probe that watches one run, and never changes what it computes.

    Attributes:
        steps: watch the first so many steps only, of a run that is planned as without; None: all.
    """

    steps: int | None = None

    def check(self, network: torch.nn.Module, steps: int) -> None:
        if self.steps is not None and not 1 <= self.steps <= steps:
            raise UserError(
                f"probe.steps={self.steps} is not valid: the run has {steps} steps, so give a "
                f"number from 1 to {steps}, or null for all"
            )

    def length(self, steps: int) -> int:
        return self.steps or steps

    def measure(
        self, plan: Plan, data: Dataset, device: torch.device
    ) -> Generator[int, None, Measurement]:
        """Train a run as far as the probe wants to see it, and watch it on the way."""
        from normbench.engine.excursion import excursion
        from normbench.engine.training import Training
        from normbench.probes.watching import Watched

        start = time.perf_counter()
        training = Training(plan, data, device)
        run = Watched(training, self.length(training.steps_per_epoch * plan.epochs))
        watching = self.watch(run)
        answer: Any = None  # a generator's first
        while True:
            with excursion(training):
                try:
                    goal = watching.send(answer)
                except StopIteration as end:
                    status = "finished" if run.alive else "diverged"
                    return Measurement(end.value, status, time.perf_counter() - start)
            yield from run.train_until(goal)
            answer = run.alive

    def watch(self, run: Watched) -> Generator[int, bool, dict[str, Any]]:
        """Measure between two steps of a run, or with hooks during them.

        Between its yields a probe may do with the run what it likes, such as change parameters,
        run the network in any mode, draw random numbers or take steps: all of that is undone. What
        hooks do is not, so these may only look, and have to be removed in the end.

        Yields:
            How many steps have to be done before the probe goes on. It is sent whether that
            happened: False if the loss stopped being finite before.

        Returns:
            ``Measurement.measured``.
        """
        raise NotImplementedError
