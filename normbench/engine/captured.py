"""Runs whose steps are replayed from CUDA graphs.

A graph repeats the same kernels on the same memory. So everything that differs between one step
and the next is read from tensors on the device: a counter of the epoch's steps, and tables with a
row for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor

from normbench.data.dataset import Dataset, Split
from normbench.engine.capturable import NotCapturable, capturable
from normbench.engine.cuda import Stream, out_of_memory
from normbench.engine.replays import check_replays
from normbench.engine.scaling import DeviceScaler
from normbench.engine.state import Snapshot, form_of, restore_state
from normbench.engine.training import (
    EVALUATION_BATCH,
    IGNORED,
    Ended,
    Keeper,
    Plan,
    Result,
    Training,
    run,
)
from normbench.explain import first_line, place_of

# Work that a lane has in its queue, as the host may be away for so long: a lane that starts, or one
# that does without graphs, holds it meanwhile.
SECONDS_A_TURN = 0.5


def run_in_stream(
    plan: Plan,
    data: Dataset,
    device: torch.device,
    stream: Stream,
    note: Callable[[str], None],
    checkpoint: Keeper | None = None,
    ended: Ended | None = None,
) -> Generator[int, None, Result]:
    """Train a run, from graphs if that can be; yields as ``training.run`` does.

    Args:
        plan: what to train.
        data: both splits, on the device.
        device: where to train.
        stream: what has to be in use whenever this goes on.
        note: called with a line if the run has to do without graphs.
        checkpoint: where its state is kept.
        ended: called with the run in the end.
    """
    training: Training | None
    try:
        training = with_graphs(plan, data, device, stream)
    except NotCapturable as reason:
        note(f"trains without CUDA graphs, slower: {reason}")
        training = None  # its memory is free before the next takes some
    if training is None:
        training = Training(plan, data, device)
    yield 0
    result = yield from run(training, checkpoint, ended)
    if isinstance(training, CapturedTraining):
        stream.left = training
    return result


def with_graphs(
    plan: Plan, data: Dataset, device: torch.device, stream: Stream
) -> CapturedTraining:
    """A run that has not begun, ready to be replayed.

    Where the last run in its stream was of the same kind, that run's graphs are used again.

    Raises:
        NotCapturable: if the run has to do without graphs.
        torch.OutOfMemoryError: and what else says so.
    """
    fresh = CapturedTraining(plan, data, device, stream)
    left, stream.left = stream.left, None
    if isinstance(left, CapturedTraining) and left.become(fresh):
        return left
    del left  # its memory is free before the capture takes some
    fresh.capture()
    return fresh


class Form:
    """What graphs hold for good of a run that has not begun, equal for those that can share them.

    Not in it: the seed and the learning rate, and the numbers in tensors, which is where they show.
    What else there may be, in Python and no plain value, shows when replays are compared.
    """

    def __init__(self, training: Training):
        plan = {name: value for name, value in vars(training.plan).items() if not callable(value)}
        self.parts = (
            plan | {"seed": 0, "lr": 0.0},
            [str(type(module)) for module in training.model.modules()],
            form_of(training),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Form) and self.parts == other.parts


class CapturedTraining(Training):
    """A run whose steps and evaluation are replayed from graphs.

    Args:
        plan, data, device: as for Training.
        stream: where everything happens, and what makes the graphs.

    Attributes:
        unroll: steps in one graph.
        replays_a_turn: how many of these graphs are put in the queue at a time; grows.
        counter: the step of the epoch that comes next, (1,), int64.
        indices: where the images of the epoch's batches are, (steps, batch size), int64.
        rates: for the learning rate, and for the momentum where it changes: the number that the
            optimizer reads, its values for the steps of the epoch, those for all of the run's.
        val_counter: the batch of validation images that comes next, (1,), int64.
        val_indices, val_labels: where these are, and their labels, (batches, batch size), int64;
            what fills up the last is labelled IGNORED.
        form: what a run has to have in common with this one to use its graphs.

    Raises:
        NotCapturable: for an optimizer that depends on the host.
    """

    half_copies = True
    make_scaler = DeviceScaler
    unroll = 8
    replays_a_turn = 1

    def __init__(self, plan: Plan, data: Dataset, device: torch.device, stream: Stream):
        super().__init__(plan, data, device)
        self.stream = stream
        steps, group = self.steps_per_epoch, self.optimizer.param_groups[0]
        self.unroll = max(1, min(self.unroll, steps))
        self.counter = torch.zeros(1, dtype=torch.int64, device=device)
        self.indices = torch.zeros(steps, plan.batch_size, dtype=torch.int64, device=device)
        self.rates = [self._rate(group["lr"], self.schedule.lr)]
        for momentum in (group.get("momentum"), group.get("betas", [None])[0]):
            if isinstance(momentum, Tensor):
                self.rates.append(self._rate(momentum, self.schedule.momentum))

        size, count = min(EVALUATION_BATCH["cuda"], len(data.val.labels)), len(data.val.labels)
        place = torch.arange(-(-count // size) * size, device=device).view(-1, size)
        self.val_indices = place % count
        self.val_labels = data.val.labels[self.val_indices].where(place < count, IGNORED)
        self.val_counter = torch.zeros_like(self.counter)

    def _rate(self, number: Tensor, values: np.ndarray | None) -> tuple[Tensor, Tensor, Tensor]:
        table = number.new_zeros(self.steps_per_epoch)
        return number.view(1), table, torch.tensor(values)  # of its own, as it is written to

    def make_optimizer(self) -> torch.optim.Optimizer:
        tried = 2 * self.unroll + 1  # steps before the run begins, which a short run has not
        return capturable(
            self.plan.optimizer,
            self.parameters.tensors,
            self.plan.lr,
            steps=max(len(self.schedule.lr), tried),
            momentum_changes=self.schedule.momentum is not None,
        )

    def autocast(self) -> AbstractContextManager:
        # A cast that is cached in one step would be taken for valid in the next.
        if self.half is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.half, cache_enabled=False)

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> what the first layer computes in (B, C, H, W), in one kernel."""
        pixels = images.permute(0, 3, 1, 2)
        x = torch.empty_like(pixels, dtype=self.half or torch.float32)
        if self.shifted:
            return torch.addcmul(self.shift, pixels, self.scale, out=x)
        return torch.mul(pixels, self.scale, out=x)

    def next_step(self) -> None:
        """The step that the counter points at."""
        index = self.indices.index_select(0, self.counter)[0]
        for number, table, _ in self.rates:
            torch.index_select(table, 0, self.counter, out=number)
        self.step(index)
        self.counter.add_(1)

    def next_evaluation(self) -> None:
        """The batch of validation images that its counter points at."""
        index = self.val_indices.index_select(0, self.val_counter)[0]
        labels = self.val_labels.index_select(0, self.val_counter)[0]
        self.evaluate_batch(self.data.val.images.index_select(0, index), labels)
        self.val_counter.add_(1)

    def capture(self) -> None:
        """Put the step and the evaluation into graphs, without a trace in the run's outcome.

        Raises:
            NotCapturable: if something in them waits for the device or fails, or if replays differ.
            torch.OutOfMemoryError: and what else says so.
        """
        start, self.form = Snapshot(self), Form(self)

        def steps() -> Training:
            start.restore(keep_memory=True)
            return self._try(self._unrolled, self.next_evaluation, self.next_step)

        def replays() -> Training:
            start.restore(keep_memory=True)
            return self._try(self.replay_steps, self.replay_evaluation, lambda: self.replay_step())

        failed = self.stream.failed_allocations()
        try:
            self._warm_up(start)
            self.stream.settle()
            self.model.train()
            self.replay_steps = self.stream.capture(self._unrolled)
            if self.steps_per_epoch % self.unroll:
                self.replay_step = self.stream.capture(self.next_step)
            self.parameters.clear_gradients()  # what is left of them is the graphs' memory
            self.model.eval()
            self.replay_evaluation = self.stream.capture(self.next_evaluation)
            check_replays(steps, replays)
        except Exception as error:
            if out_of_memory(error) or isinstance(error, NotCapturable):
                raise
            if self.stream.failed_allocations() > failed:  # of which this is the consequence
                raise torch.OutOfMemoryError(f"out of memory: {first_line(error)}") from error
            raise NotCapturable(f"{first_line(error)}{place_of(error)}") from None
        start.restore(keep_memory=True)

    def _unrolled(self) -> None:
        for _ in range(self.unroll):
            self.next_step()

    def _warm_up(self, start: Snapshot) -> None:
        """Let everything that happens only once happen: autotuning, compilation, lazy state.

        The second time, nothing may wait for the device any more.
        """
        for watch in (nullcontext, self.stream.no_waiting):
            with watch():
                self.model.train()
                self.next_step()
                self.model.eval()
                self.next_evaluation()
            start.restore(keep_memory=True)

    def become(self, fresh: CapturedTraining) -> bool:
        """Have this run, which has ended, be another that has not begun, if its graphs fit.

        Every tensor stays where graphs know it, and takes the other's numbers. That replays are now
        the other's steps is compared bit for bit, as after a capture.

        Returns:
            Whether they fit. If not, the other is as it was, and this one is of no more use.
        """
        start = Snapshot(fresh)

        def steps() -> Training:
            start.restore(keep_memory=True)
            return fresh._try(fresh._unrolled, fresh.next_evaluation)

        def replays() -> Training:
            restore_state(self, start.values, keep_memory=True)
            return self._try(self.replay_steps, self.replay_evaluation)

        try:
            fits = self.form == Form(fresh) and self.data is fresh.data
            if fits:
                check_replays(steps, replays)
        except Exception as error:  # a capture will come to it, too, and say more
            if out_of_memory(error):
                raise
            fits = False
        if fits:
            self.plan, self.schedule = fresh.plan, fresh.schedule
            restore_state(self, start.values, keep_memory=True)
        else:
            start.restore()
        return fits

    def _try(
        self,
        unrolled: Callable[[], None],
        evaluation: Callable[[], None],
        step: Callable[[], None] | None = None,
    ) -> Training:
        """Take the epoch's first steps, a graph long, and evaluate a batch.

        With ``step``, steps are two graphs long, and then there is one more.
        """
        steps, batch_size = self.indices.shape
        self.indices.copy_(torch.arange(steps * batch_size).view(steps, batch_size))
        for _, table, values in self.rates:
            table.copy_(values[:steps])
        self.model.train()
        for first in (0, min(self.unroll, steps - self.unroll)) if step else (0,):
            self.counter.fill_(first)
            unrolled()
        if step and steps % self.unroll:
            self.counter.zero_()
            step()
        self.model.eval()
        self.val_counter.zero_()
        evaluation()
        return self

    def train_on(self, batches: Tensor) -> Iterator[int]:
        steps, unroll = len(batches), self.unroll
        self.counter.zero_()
        self.indices.copy_(batches)
        for _, table, values in self.rates:
            table.copy_(values[self.steps_done : self.steps_done + steps])
        done = 0
        while done < steps:
            begun = time.perf_counter()
            turn = min(self.replays_a_turn * unroll, steps - done)
            for _ in range(turn // unroll):
                self.replay_steps()
            for _ in range(turn % unroll):
                self.replay_step()
            done += turn
            self.steps_done += turn
            yield turn
            if time.perf_counter() - begun < SECONDS_A_TURN / 2:
                self.replays_a_turn *= 2

    def evaluate_on(self, split: Split) -> None:
        if split is not self.data.val:
            super().evaluate_on(split)
            return
        self.val_counter.zero_()
        for _ in range(len(self.val_indices)):
            self.replay_evaluation()
