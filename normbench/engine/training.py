"""One run: the training step over preallocated tensors, evaluation, and the epochs around them.

Nothing inside a step waits for the device: images are taken by index from a uint8 tensor that
lives there, metrics are summed there and read once an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.data import Dataset, Split
from normbench.engine.flat import ELEMENTWISE, flatten_parameters
from normbench.engine.schedules import Schedule

AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
# Images at a time: few enough that activations stay in a CPU's cache, many enough to fill a GPU.
EVALUATION_BATCH = {"cpu": 32, "cuda": 512}
SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run's outcome besides the data.

    model: makes a fresh network from torch's global random state.
    optimizer: (list of parameters, lr=) -> optimizer.
    schedule: (steps, lr) -> Schedule.
    mean, std: of the three colours; an input is (image / 255 - mean) / std.
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


@dataclass
class Result:
    """What a run measured.

    epochs: one entry an epoch: train_loss, val_loss, val_accuracy; a diverged run's has only the
        epochs that it finished with finite losses.
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
    """Sums on the device: loss over images, right answers, images."""

    def __init__(self, device: torch.device):
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.right = torch.zeros((), dtype=torch.int64, device=device)

    def reset(self) -> None:
        self.loss.zero_()
        self.right.zero_()


class Training:
    """A run while it trains: its network, optimizer and schedule, and the step that uses them."""

    def __init__(self, plan: Plan, data: Dataset, device: torch.device):
        self.plan, self.data, self.device = plan, data, device
        torch.manual_seed(plan.seed)
        model = plan.model().to(device=device, memory_format=torch.channels_last)
        self.model: nn.Module = model
        self.steps_per_epoch = len(data.train.labels) // plan.batch_size
        self.schedule = plan.schedule(self.steps_per_epoch * plan.epochs, plan.lr)

        self.optimizer = plan.optimizer(list(model.parameters()), lr=plan.lr)
        self.gradients_persist = False
        if type(self.optimizer).__name__ in ELEMENTWISE:
            flat = flatten_parameters(model)
            if flat is not None:
                self.optimizer = plan.optimizer([flat], lr=plan.lr)
                self.gradients_persist = True

        dtype = AUTOCAST[plan.precision]
        self.autocast = (lambda: torch.autocast(device.type, dtype=dtype)) if dtype else nullcontext
        self.scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "fp16")
        # uint8 -> (x / 255 - mean) / std as one multiplication and one addition a number
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (plan.mean, plan.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std
        self.shifted = bool(any(plan.mean))
        self.order = torch.Generator().manual_seed(plan.seed)
        self.metrics = Metrics(device)
        self.steps_done = 0

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) -> float32 (B, 3, H, W), scaled, channels last."""
        x = images.permute(0, 3, 1, 2).to(torch.float32).mul_(self.scale)
        return x.add_(self.shift) if self.shifted else x

    def step(self, index: Tensor) -> None:
        """Train on the images at index (B,), int64."""
        images, labels = (t.index_select(0, index) for t in (self.train.images, self.train.labels))
        if self.gradients_persist:
            self.optimizer.param_groups[0]["params"][0].grad.zero_()
        else:
            self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self.model(self.inputs(images))
        loss = F.cross_entropy(logits.float(), labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
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

    def epoch(self, report: Callable[[int], None]) -> float:
        """Train on every image once, in the seed's order, without the last incomplete batch.

        Returns:
            The mean loss over the epoch's batches.
        """
        self.model.train()
        self.metrics.reset()
        batch_size, steps = self.plan.batch_size, self.steps_per_epoch
        order = torch.randperm(len(self.train.labels), generator=self.order)
        batches = order[: steps * batch_size].view(steps, batch_size).to(self.device)
        reported, due = 0, time.perf_counter() + SECONDS_BETWEEN_REPORTS
        for i in range(steps):
            self.set_rates(self.steps_done)
            self.step(batches[i])
            self.steps_done += 1
            now = time.perf_counter()
            if now >= due or i + 1 == steps:
                report(i + 1 - reported)
                reported, due = i + 1, now + SECONDS_BETWEEN_REPORTS
        return self.metrics.loss.item() / steps

    @torch.no_grad()
    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy over every image of a split, in evaluation mode."""
        self.model.eval()
        self.metrics.reset()
        size = EVALUATION_BATCH[self.device.type]
        for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
            with self.autocast():
                logits = self.model(self.inputs(images))
            self.metrics.loss += F.cross_entropy(logits.float(), labels, reduction="sum")
            self.metrics.right += (logits.argmax(1) == labels).sum()
        count = len(split.labels)
        return self.metrics.loss.item() / count, self.metrics.right.item() / count


def train(
    plan: Plan,
    data: Dataset,
    device: torch.device,
    report: Callable[[int], Any] = lambda steps: None,
) -> Result:
    """Train one run from its first step to its last evaluation.

    Args:
        plan: what to train.
        data: both splits, on the device.
        device: where to train.
        report: called now and then with the number of steps done since its last call.
    """
    training = Training(plan, data, device)
    result = Result()
    for _ in range(plan.epochs):
        start = time.perf_counter()
        train_loss = training.epoch(report)
        trained = time.perf_counter()
        result.train_seconds += trained - start
        if not math.isfinite(train_loss):
            result.status = "diverged"
            break
        val_loss, val_accuracy = training.evaluate(data.val)
        result.evaluation_seconds += time.perf_counter() - trained
        if not math.isfinite(val_loss):
            result.status = "diverged"
            break
        result.epochs.append(
            {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
        )
    result.images_per_second = training.steps_done * plan.batch_size / result.train_seconds
    return result
