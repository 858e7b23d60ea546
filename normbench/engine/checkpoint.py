"""A run as it stands after an epoch <-> a file, from which it goes on as if nothing had happened.

The file is a SHA-256 digest of the rest, and what ``torch.save`` makes of plain values and tensors,
which is read with ``weights_only``: nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from normbench.store.files import write_atomically

if TYPE_CHECKING:
    from normbench.engine.training import Result, Training

LONG = 60.0  # seconds; epochs that take longer are worth a checkpoint
DIGEST = 32  # bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run's state is kept.

    path: of the file.
    about: what must be the same for going on to give the same bits: the run, versions, threads.
    always: keep the state after every epoch, not only after long ones.
    """

    path: Path
    about: dict[str, Any]
    always: bool = False

    def save(self, training: Training, result: Result, seconds: float) -> None:
        """Keep the state after an epoch that took so many seconds; without a disk, go on."""
        if not self.always and seconds < LONG:
            return
        content = io.BytesIO()
        torch.save(
            {"about": self.about, "result": asdict(result), "state": state_of(training)}, content
        )
        content = content.getvalue()
        try:
            write_atomically(self.path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            log.warning("no checkpoint at %s (%s)", self.path, error.strerror)

    def restore(self, training: Training, result: Result) -> None:
        """Bring a run that has not begun, and its result, to where they were, if that is kept."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("checkpoint %s cannot be read (%s)", self.path, error.strerror)
            return
        digest, content = content[:DIGEST], content[DIGEST:]
        try:
            if hashlib.sha256(content).digest() != digest:
                raise ValueError("its digest is wrong")
            kept = torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:  # whatever it holds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("checkpoint %s is damaged (%s): its run starts over", self.path, reason)
            return
        if kept["about"] != self.about:
            log.warning("checkpoint %s is of other code or data: its run starts over", self.path)
            return
        restore_state(training, kept["state"])
        for field, value in kept["result"].items():
            setattr(result, field, value)


def state_of(training: Training) -> dict[str, Any]:
    """Everything that the epochs so far have left, and those to come depend on."""
    model, optimizer = training.model, training.optimizer
    return {
        "model": dict(_model_tensors(training)),
        "extra": {k: v for k, v in model.state_dict().items() if k.endswith("_extra_state")},
        "optimizer": [
            {
                "group": {k: v for k, v in group.items() if k != "params"},
                "state": [dict(optimizer.state.get(p, {})) for p in group["params"]],
            }
            for group in optimizer.param_groups
        ],
        "scaler": training.scaler.state_dict(),
        "steps_done": training.steps_done,
        "generators": [generator.get_state() for generator in _generators(training)],
        "random": torch.get_rng_state(),
    }


def restore_state(training: Training, state: dict[str, Any]) -> None:
    """Bring it back, in place: captured graphs and flat parameters know tensors by their memory."""
    with torch.no_grad():
        for name, tensor in _model_tensors(training):
            tensor.copy_(state["model"][name])
        training.model.load_state_dict(state["extra"], strict=False)
        for group, kept in zip(training.optimizer.param_groups, state["optimizer"], strict=True):
            _restore_values(group, kept["group"])
            for p, values in zip(group["params"], kept["state"], strict=True):
                if values:
                    _restore_values(training.optimizer.state[p], values)
    training.scaler.load_state_dict(state["scaler"])
    training.steps_done = state["steps_done"]
    for generator, kept in zip(_generators(training), state["generators"], strict=True):
        generator.set_state(kept)
    torch.set_rng_state(state["random"])


def _restore_values(target: dict[str, Any], kept: dict[str, Any]) -> None:
    for name, value in kept.items():
        if isinstance(value, Tensor) and isinstance(target.get(name), Tensor):
            target[name].copy_(value)
        else:
            target[name] = value


def _model_tensors(training: Training) -> Iterator[tuple[str, Tensor]]:
    """What the optimizer updates, and the model's parameters and buffers, copies included."""
    for i, tensor in enumerate(training.parameters.tensors):
        yield f"{i}", tensor
    yield from training.model.named_parameters()
    yield from training.model.named_buffers()


def _generators(training: Training) -> list[torch.Generator]:
    augmentation = training.augmentation
    return [training.order, *([augmentation.generator] if augmentation else [])]
