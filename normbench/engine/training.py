"""One run: the training step over preallocated tensors, evaluation, and the epochs around them.

Nothing inside a step waits for the device: images are taken by index from a uint8 tensor that
lives there, metrics are summed there and read once an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.data.dataset import Dataset, Split
from normbench.engine.augmentation import Augmentation
from normbench.engine.flat import (
    ELEMENTWISE,
    FlatParameters,
    SeparateParameters,
    can_share_a_tensor,
)
from normbench.engine.schedules import Schedule
from normbench.norms import AdaptiveGradientClipping

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
# Images at a time: few enough that activations stay in a CPU's cache, many enough to fill a GPU.
EVALUATION_BATCH = {"cpu": 32, "cuda": 512}
SECONDS_BETWEEN_REPORTS = 0.2
IGNORED = -100  # a label that no class has

Returned = TypeVar("Returned")


def _clips_nothing(model: nn.Module) -> None:
    return None


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run's outcome besides the data.

    Attributes:
        model: makes a fresh network from torch's global random state.
        optimizer: (list of parameters, lr=, more settings=) -> optimizer.
        schedule: (steps, lr) -> Schedule.
        batch_size: images a step.
        lr: the learning rate that the schedule is made with.
        seed: of the network, of the order of the images and of their augmentation.
        epochs: how many.
        precision: fp32, bf16 or fp16.
        mean, std: of each of the images' channels; an input is (image / 255 - mean) / std.
        augment: none, flip or crop; see Augmentation.
        clip: takes the network and makes what clips its gradients, or None.
    """

    model: Callable[[], nn.Module]
    optimizer: Callable[..., torch.optim.Optimizer]
    schedule: Callable[[int, float], Schedule]
    batch_size: int
    lr: float
    seed: int
    epochs: int
    precision: str
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    augment: str = "none"
    clip: Callable[[nn.Module], AdaptiveGradientClipping | None] = _clips_nothing


@dataclass
class Result:
    """What a run measured.

    Attributes:
        epochs: one entry an epoch: train_loss, val_loss, val_accuracy; a diverged run's has only
            the epochs that it finished with finite losses.
        status: finished or diverged.
        train_seconds, evaluation_seconds: wall time of each.
        images_per_second: while training.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    status: str = "finished"
    train_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    images_per_second: float = 0.0


class Metrics:
    """Sums on the device.

    Attributes:
        loss: of losses, float64.
        right: of right answers, int64.
    """

    def __init__(self, device: torch.device):
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.right = torch.zeros((), dtype=torch.int64, device=device)

    def reset(self) -> None:
        self.loss.zero_()
        self.right.zero_()


class Training:
    """A run while it trains: its network, optimizer and schedule, and the step that uses them.

    Here the host drives it, step by step. Whatever drives it otherwise runs the same step. What an
    attribute holds is part of the run's state if ``state`` knows its kind.

    Args:
        plan: what to train.
        data: both splits, on the device.
        device: where to train.

    Attributes:
        plan, data, device: as given.
        model: the network.
        steps_per_epoch: how many.
        schedule: what the optimizer is set to, for every step of the run.
        half: the dtype that autocast computes in, or None.
        parameters: how the network's parameters lie in memory.
        optimizer: what updates them.
        clip: what clips their gradients, or None.
        scaler: of the loss, for fp16.
        scale, shift: of the channels, (1, C, 1, 1), for whole numbers from 0 to 255.
        shifted: whether shift is anything but 0.
        row_scale, row_shift: the same for a row of pixels, (W C,).
        order: draws the order of the images.
        augmentation: transforms them, or None.
        metrics: sums over the present epoch or evaluation.
        steps_done: since the run began.
        half_copies: whether the step reads half-precision copies of the weights.
    """

    half_copies = False
    make_scaler: type[torch.amp.GradScaler] = torch.amp.GradScaler

    def __init__(self, plan: Plan, data: Dataset, device: torch.device):
        self.plan, self.data, self.device = plan, data, device
        torch.manual_seed(plan.seed)
        self.model = plan.model().to(device).to(memory_format=torch.channels_last)
        self.steps_per_epoch = len(data.train.labels) // plan.batch_size
        self.schedule = plan.schedule(self.steps_per_epoch * plan.epochs, plan.lr)
        self.half = AUTOCAST[plan.precision]

        kind = type(plan.optimizer(list(self.model.parameters()), lr=plan.lr)).__name__
        self.parameters: FlatParameters | SeparateParameters
        if kind in ELEMENTWISE and can_share_a_tensor(self.model):
            half = self.half if self.half_copies else None
            self.parameters = FlatParameters(self.model, half)
        else:
            self.parameters = SeparateParameters(self.model)
        self.optimizer = self.make_optimizer()
        self.clip = plan.clip(self.model)

        self.scaler = self.make_scaler(device.type, enabled=plan.precision == "fp16")
        # uint8 -> (x / 255 - mean) / std as one multiplication and one addition a number
        mean, std = (
            torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (plan.mean, plan.std)
        )
        self.scale, self.shift = 1 / (255 * std), -mean / std
        self.shifted = bool(any(plan.mean))
        width = data.train.images.shape[2]
        self.row_scale, self.row_shift = (
            t.flatten().repeat(width) for t in (self.scale, self.shift)
        )
        self.order = torch.Generator().manual_seed(plan.seed)
        self.augmentation = None
        if plan.augment != "none":
            count = len(data.train.labels)
            self.augmentation = Augmentation(plan.augment, count, plan.seed, device)
        self.metrics = Metrics(device)
        self.steps_done = 0

    def make_optimizer(self) -> torch.optim.Optimizer:
        return self.plan.optimizer(self.parameters.tensors, lr=self.plan.lr)

    def autocast(self) -> AbstractContextManager:
        """What the forward pass runs in."""
        return torch.autocast(self.device.type, dtype=self.half) if self.half else nullcontext()

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> float32 (B, C, H, W), scaled, channels last."""
        # row by row: pixel by pixel, with three numbers at a time, takes eight times as long
        rows = images.flatten(2).to(torch.float32).mul_(self.row_scale)
        if self.shifted:
            rows.add_(self.row_shift)
        return rows.view(images.shape).permute(0, 3, 1, 2)

    def step(self, index: Tensor) -> None:
        """Train on the images at index (B,), int64."""
        images, labels = (t.index_select(0, index) for t in (self.train.images, self.train.labels))
        self.parameters.clear_gradients()
        x = self.inputs(images)
        if self.augmentation:
            x = self.augmentation(x, index)
        with self.autocast():
            logits = self.model(x)
        loss = F.cross_entropy(logits.float(), labels)
        self.scaler.scale(loss).backward()
        self.parameters.collect_gradients()
        if self.clip:
            scale = self.scaler.scale(torch.ones_like(loss))
            self.clip(self.parameters.with_gradients(self.clip.parameters), scale)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.parameters.refresh_copies()
        self.metrics.loss += loss.detach()

    @property
    def train(self) -> Split:
        return self.data.train

    def set_rates(self, step: int) -> None:
        """Set the optimizer to the schedule's values for a step."""
        for group in self.optimizer.param_groups:
            group["lr"] = float(self.schedule.lr[step])
            if self.schedule.momentum is not None:
                momentum = float(self.schedule.momentum[step])
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                elif "momentum" in group:
                    group["momentum"] = momentum

    def batches(self) -> Tensor:
        """Where the images of the next epoch's batches are: (steps, batch size) indices, int64.

        Every image once, in the seed's order, without the last incomplete batch.
        """
        order = torch.randperm(len(self.train.labels), generator=self.order)
        steps, batch_size = self.steps_per_epoch, self.plan.batch_size
        return order[: steps * batch_size].view(steps, batch_size)

    def epoch(self) -> Generator[int, None, float]:
        """Train on the next epoch's batches; yields steps as ``run`` does.

        Returns:
            The mean loss over the batches.
        """
        self.model.train()
        self.metrics.reset()
        if self.augmentation:
            self.augmentation.draw()
        yield from self.train_on(self.batches())
        return self.metrics.loss.item() / self.steps_per_epoch

    def train_on(self, batches: Tensor) -> Iterator[int]:
        """Take a step for each row of indices (steps, batch size)."""
        steps = len(batches)
        reported, due = 0, time.perf_counter() + SECONDS_BETWEEN_REPORTS
        batches = batches.to(self.device)
        for i in range(steps):
            self.set_rates(self.steps_done)
            self.step(batches[i])
            self.steps_done += 1
            now = time.perf_counter()
            if now >= due or i + 1 == steps:
                yield i + 1 - reported
                reported, due = i + 1, now + SECONDS_BETWEEN_REPORTS

    def evaluate(self, split: Split) -> Generator[int, None, tuple[float, float]]:
        """Evaluate on every image of a split; yields as ``run`` does.

        Returns:
            Mean loss and accuracy.
        """
        self.model.eval()
        self.metrics.reset()
        self.evaluate_on(split)
        yield 0
        count = len(split.labels)
        return self.metrics.loss.item() / count, self.metrics.right.item() / count

    def evaluate_on(self, split: Split) -> None:
        """Add up the metrics of a split."""
        size = EVALUATION_BATCH[self.device.type]
        for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
            self.evaluate_batch(images, labels)

    @torch.no_grad()
    def evaluate_batch(self, images: Tensor, labels: Tensor) -> None:
        """Add up the metrics of images (B, H, W, C), uint8; those labelled IGNORED do not count."""
        with self.autocast():
            logits = self.model(self.inputs(images))
        self.metrics.loss += F.cross_entropy(
            logits.float(), labels, reduction="sum", ignore_index=IGNORED
        )
        self.metrics.right += (logits.argmax(1) == labels).sum()


class Keeper(Protocol):
    """What keeps a run's state between epochs, as a Checkpoint does."""

    def save(self, training: Training, result: Result, seconds: float) -> None:
        """Keep the state after an epoch that took so many seconds."""

    def restore(self, training: Training, result: Result) -> None:
        """Bring a run that has not begun, and its result, to what was kept, if anything was."""


Ended = Callable[["Training", Result], None]  # called with a run that has ended


def run(
    training: Training, checkpoint: Keeper | None = None, ended: Ended | None = None
) -> Generator[int, None, Result]:
    """Train a run from its first step, or its checkpoint, to its last evaluation.

    Yields:
        The number of steps that were put in the device's queue since the last time. What comes
        next may read from the device: whoever drives several runs goes on with this one when the
        device is through with it.
    """
    plan, result = training.plan, Result()
    if checkpoint:
        checkpoint.restore(training, result)
        yield training.steps_done
    while len(result.epochs) < plan.epochs:
        start = time.perf_counter()
        train_loss = yield from training.epoch()
        trained = time.perf_counter()
        result.train_seconds += trained - start
        if not math.isfinite(train_loss):
            result.status = "diverged"
            break
        val_loss, val_accuracy = yield from training.evaluate(training.data.val)
        result.evaluation_seconds += time.perf_counter() - trained
        if not math.isfinite(val_loss):
            result.status = "diverged"
            break
        result.epochs.append(
            {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
        )
        if checkpoint and len(result.epochs) < plan.epochs:
            checkpoint.save(training, result, time.perf_counter() - start)
    result.images_per_second = training.steps_done * plan.batch_size / result.train_seconds
    if ended:
        ended(training, result)
    return result


def train(
    plan: Plan,
    data: Dataset,
    device: torch.device,
    report: Callable[[int], Any] = lambda steps: None,
    checkpoint: Keeper | None = None,
    ended: Ended | None = None,
) -> Result:
    """Train one run from its first step, or its checkpoint, to its last evaluation.

    Args:
        plan: what to train.
        data: both splits, on the device.
        device: where to train.
        report: called now and then with the number of steps done since its last call.
        checkpoint: where its state is kept.
        ended: called with the run in the end.
    """
    return finish(run(Training(plan, data, device), checkpoint, ended), report)


def finish(
    running: Generator[int, None, Returned], report: Callable[[int], Any] = lambda steps: None
) -> Returned:
    """Drive what yields as ``run`` does to its end, and return what it returns."""
    while True:
        try:
            report(next(running))
        except StopIteration as end:
            return end.value
