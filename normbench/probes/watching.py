"""Watching a run without a trace in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from normbench.calculus.batch_loss import BatchLoss, full_precision
from normbench.engine.excursion import excursion
from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.explain import nearest


class Watched:
    """A run that a probe watches.

    Attributes:
        training, model: the run as the engine has it.
        steps: how many of its steps are watched.
        batch: where the images of the next step are, int64 (batch size,); after the run's last
            step, those of that one.
        train_loss: the mean loss of the steps that were taken since the probe went on last.
        alive: whether the loss was finite so far.
    """

    batch: Tensor
    train_loss: float = math.nan

    def __init__(self, training: Training, steps: int):
        self.training, self.model, self.steps = training, training.model, steps
        self.alive = True
        self._enter_epoch()

    def loss(self, index: Tensor) -> Tensor:
        """The mean loss on training images at index (B,), in the mode that the model is in."""
        inputs, labels = self._batch_at(index)
        with self.training.autocast():
            logits = self.model(inputs)
        return F.cross_entropy(logits.float(), labels)

    def loss_function(self, index: Tensor) -> BatchLoss:
        """The loss on training images at index (B,) as a function of the model's parameters."""
        return BatchLoss(self.model, *self._batch_at(index))

    def evaluate(self) -> dict[str, float | None]:
        """val_loss and val_accuracy as they are now; leaves the model in evaluation mode."""
        loss, accuracy = finish(self.training.evaluate(self.training.data.val))
        return {"val_loss": loss if math.isfinite(loss) else None, "val_accuracy": accuracy}

    def train_until(self, goal: int) -> Generator[int, None, None]:
        """Go on until so many steps are done, or the loss is not finite any more."""
        training, start, losses = self.training, self.training.steps_done, 0.0
        while self.alive and training.steps_done < min(goal, self.steps):
            place = training.steps_done % training.steps_per_epoch
            before = training.metrics.loss.item()
            yield from training.train_on(self.batches[place:][: goal - training.steps_done])
            losses += training.metrics.loss.item() - before
            self.alive = math.isfinite(losses)
            self.train_loss = losses / (training.steps_done - start)
            if training.steps_done % training.steps_per_epoch:
                self.batch = self.batches[training.steps_done % training.steps_per_epoch]
            elif training.steps_done < len(training.schedule.lr):
                self._enter_epoch()

    def parameters_after_step(self) -> Tensor:
        """What the next training step makes of the trained parameters (P,), in loss_function's
        order; the run itself stays where it is."""
        training = self.training
        with excursion(training):
            training.set_rates(min(training.steps_done, len(training.schedule.lr) - 1))
            training.step(self.batch)
            trained = [p for p in self.model.parameters() if p.requires_grad]
            return torch.cat([p.detach().flatten() for p in trained])

    def _batch_at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        split = self.training.train
        images, labels = (t.index_select(0, index) for t in (split.images, split.labels))
        return self.training.inputs(images), labels

    def _enter_epoch(self) -> None:
        self.batches = self.training.batches().to(self.training.device)
        self.batch = self.batches[0]
        self.training.model.train()
        self.training.metrics.reset()


def measure_at(
    steps: Iterable[int], measure: Callable[[], Mapping[str, Tensor | float]]
) -> Generator[int, bool, dict[str, Any]]:
    """Measure whenever so many steps are done, as long as the loss is finite; in full precision.

    Args:
        steps: rising.
        measure: what to call each time; gives numbers by name.

    Returns:
        For ``Measurement.measured``: ``at``, how many steps were done, and the numbers of each
        name, one a time.
    """
    measured: dict[str, Any] = {"at": []}
    for step in steps:
        if not (yield step):
            break
        with full_precision():
            found = measure()
        measured["at"].append(step)
        for name, values in found.items():
            measured.setdefault(name, []).append(numbers(values))
    return measured


def find_convolutions(model: nn.Module, names: Iterable[str] | None = None) -> dict[str, nn.Conv2d]:
    """The convolutions of a model by name, from first to last in the order of its modules.

    Args:
        model: any.
        names: of those that are wanted; None for all.

    Raises:
        UserError: for a name that no convolution has, or a model without one.
    """
    found = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    if not found:
        raise UserError(f"the model {type(model).__name__} has no convolution to probe")
    for name in names or ():
        if name not in found:
            raise UserError(f"probe.layers has {name!r}, no convolution{nearest(name, found)}")
    return {name: m for name, m in found.items() if names is None or name in names}


def trained_weight(layer: nn.Module) -> nn.Parameter:
    """The parameter that training changes, also where a layer's weight is computed from it."""
    behind = is_parametrized(layer, "weight")
    return layer.get_parameter("parametrizations.weight.original" if behind else "weight")


def numbers(values: Tensor | float) -> Any:
    """Nested lists for a record: 6 significant digits, None for what is not finite."""
    return _rounded(values.tolist() if isinstance(values, Tensor) else values)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.6g}") if math.isfinite(value) else None
