"""One training step on made-up images, before anything trains: what does not work shows here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.engine.schedules import Schedule
from normbench.errors import UserError
from normbench.explain import first_line, place_of
from normbench.models.build import NormLayers, build
from normbench.parts import channels_of, make_optimizer, make_probe, make_schedule
from normbench.settings import Settings

IMAGES = 4  # at most, however large a batch is
CLASSES, STEPS = 10, 100  # what data and runs have is not known yet


def try_parts(settings: Settings, batch_size: int) -> NormLayers:
    """Build every part and take a step, on the CPU, in full precision.

    Args:
        settings: of the runs.
        batch_size: the smallest that will be trained with.

    Returns:
        The norm layers of the network.

    Raises:
        UserError: naming the part, for one that cannot be built, does not fit the others, or
            computes what cannot be trained with.
    """
    name, size = settings["norm"]["name"], settings["data"]["image_size"]
    channels = channels_of(settings)
    with torch.random.fork_rng([]):
        network, layers = build(settings["model"], settings["norm"], CLASSES, channels)
        what = f"model={settings['model']['name']} with norm={name}"
        optimizer = make_optimizer(settings["optimizer"], list(network.parameters()), lr=1e-3)
        _check_schedule(settings)
        images = torch.randn(min(IMAGES, batch_size), channels, size, size)
        images = images.to(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)
        with watched(f"norm={name}", layers.found), explained(what):
            logits = network(images)
            _check_logits(what, logits, (len(images), CLASSES))
            F.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64)).backward()
        with explained(f"optimizer={settings['optimizer']['name']}"):
            optimizer.step()
        with watched(f"norm={name}", layers.found), explained(what), torch.no_grad():
            network.eval()(images)
    return layers


def check_probe(settings: Settings, num_classes: int, steps: Iterable[int]) -> None:
    """Raise UserError for a probe that does not fit the network, or runs of so many steps."""
    probe = make_probe(settings["probe"])
    with torch.random.fork_rng([]):
        model, norm = settings["model"], settings["norm"]
        network = build(model, norm, num_classes, channels_of(settings))[0]
        for count in steps:
            probe.check(network, count)


def _check_schedule(settings: Settings) -> None:
    name = settings["schedule"]["name"]
    schedule = make_schedule(settings["schedule"], STEPS, 1e-3)
    if not isinstance(schedule, Schedule):
        raise UserError(
            f"schedule={name} returns a {type(schedule).__name__}: give a function of the number "
            "of steps and the learning rate that returns a normbench.engine.schedules.Schedule"
        )
    for part in ("lr", "momentum"):
        values = getattr(schedule, part)
        if values is not None and not np.isfinite(values).all():
            raise UserError(f"schedule={name} has a {part} that is not a finite number: check its "
                            "settings")  # fmt: skip


def _check_logits(what: str, logits: Any, shape: tuple[int, int]) -> None:
    if not isinstance(logits, Tensor) or tuple(logits.shape) != shape:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise UserError(f"{what}: the network returns {got} for {shape[0]} images, not {shape}")


@contextmanager
def watched(what: str, layers: list[nn.Module]) -> Iterator[None]:
    """Raise UserError for a layer that changes more than the values of what it is given."""

    def look(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        kind, x = type(layer).__name__, inputs[0]
        if not isinstance(output, Tensor):
            raise UserError(f"{what}: {kind} returns a {type(output).__name__}, not a tensor")
        for part, before, after in (
            ("shape", tuple(x.shape), tuple(output.shape)),
            ("dtype", x.dtype, output.dtype),
        ):
            if before != after:
                raise UserError(
                    f"{what}: {kind} changes the {part} of what it is given from {before} to "
                    f"{after}: a norm keeps it"
                )
        if torch.isfinite(x).all() and not torch.isfinite(output).all():
            raise UserError(f"{what}: {kind} returns values that are not finite, of finite ones")

    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what is raised inside into a line that says where in the user's code it was raised."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind, said = type(error).__name__, str(error).strip()
        line = f"{kind}: {first_line(error)}" if said else kind
        raise UserError(f"{what}: {line}{place_of(error)}") from error
