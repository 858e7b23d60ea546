"""One training step on made-up images, before anything trains: what does not work shows here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normbench.engine.schedules import Schedule
from normbench.errors import UserError
from normbench.explain import first_line, place_of
from normbench.models.build import NormLayers, build
from normbench.parts import channels_of, make_clip, make_optimizer, make_probe, make_schedule
from normbench.settings import Settings

IMAGES = 4  # at most, however large a batch is
CLASSES, STEPS = 10, 100  # what data and runs have is not known yet


@dataclass(frozen=True)
class Tried:
    """What a step showed.

    Attributes:
        layers: the norm layers of the network.
        hidden: attributes of a norm layer, as ``MyNorm.calls``, that change as it is used and that
            PyTorch knows nothing of: neither parameters nor buffers.
    """

    layers: NormLayers
    hidden: tuple[str, ...]


def try_parts(settings: Settings, batch_size: int) -> Tried:
    """Build every part and take a step, on the CPU, in full precision.

    Args:
        settings: of the runs.
        batch_size: the smallest that will be trained with.

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
            known = dict(network.named_parameters())
            logits = network(images)
            _check_parameters(f"norm={name}", network, known)
            _check_logits(what, logits, (len(images), CLASSES))
            F.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64)).backward()
            _check_gradients(f"norm={name}", layers.found)
            if clip := make_clip(settings["norm"], network):
                made = [(p.data, p.grad) for p in clip.parameters if p.grad is not None]
                clip(made, torch.ones(()))
        with explained(f"optimizer={settings['optimizer']['name']}"):
            optimizer.step()
        with watched(f"norm={name}", layers.found), explained(what), torch.no_grad():
            before = _python_state(layers.found)  # now that what is kept for later is there
            network(images)
            after = _python_state(layers.found)
            network.eval()(images)
    changed = [path for path, value in after.items() if not _same(before.get(path), value)]
    _check_shared(f"norm={name}", changed)
    return Tried(layers, tuple(sorted({path for path, _ in changed})))


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


def _check_parameters(what: str, network: nn.Module, known: Mapping[str, nn.Parameter]) -> None:
    for name, parameter in network.named_parameters():
        if name not in known:
            raise UserError(
                f"{what}: {name} (of shape {tuple(parameter.shape)}) is made as the network is "
                "used, when the optimizer has its parameters: make it in __init__"
            )


def _check_gradients(what: str, layers: list[nn.Module]) -> None:
    for layer in layers:
        for name, parameter in layer.named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise UserError(
                    f"{what}: {type(layer).__name__} gives its {name} gradients that are not "
                    "finite, of finite values"
                )


OF_MODULES = frozenset(vars(nn.Module()))


Place = tuple[str, int | None]  # KIND.NAME, and the module's number, None for its class


def _python_state(layers: list[nn.Module]) -> dict[Place, Any]:
    """What layers and their classes hold besides parameters, buffers, modules and functions."""
    modules = {module: None for layer in layers for module in layer.modules()}
    state: dict[Place, Any] = {}
    for number, module in enumerate(modules):
        for kind in type(module).__mro__:
            if kind.__module__.partition(".")[0] not in ("torch", "builtins"):
                for name, value in vars(kind).items():
                    if not (name.startswith("__") or callable(value)):
                        state[f"{kind.__name__}.{name}", None] = _token(value)
        for name, value in vars(module).items():
            if name not in OF_MODULES:
                state[f"{type(module).__name__}.{name}", number] = _token(value)
    return state


def _token(value: Any) -> Any:
    """What tells a value from another one, and from itself after a change."""
    return (value, value._version) if isinstance(value, Tensor) else repr(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one[0] is other[0] and one[1] == other[1]
    return type(one) is type(other) and bool(one == other)


def _check_shared(what: str, changed: list[Place]) -> None:
    for path, number in changed:
        if number is None:
            raise UserError(
                f"{what}: {path} changes as the layer is used, and all of its layers in all runs "
                f"share it: keep it in each layer, as self.{path.rpartition('.')[2]}"
            )


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
        if torch.is_grad_enabled() and x.requires_grad:
            if not output.requires_grad:
                raise UserError(f"{what}: {kind} lets no gradient through to the layers below it")
            look_back(kind, x, output)

    def look_back(kind: str, x: Tensor, output: Tensor) -> None:
        given: list[bool] = []

        def given_gradient(gradient: Tensor) -> None:
            given.append(bool(torch.isfinite(gradient).all()))

        def gradient_below(gradient: Tensor) -> None:
            if all(given) and not torch.isfinite(gradient).all():
                raise UserError(
                    f"{what}: {kind} gives gradients that are not finite, of finite values"
                )

        output.register_hook(given_gradient)
        x.register_hook(gradient_below)

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
    except SystemExit as error:
        raise UserError(f"{what}: it ends the program (exit code {error.code})") from error
    except Exception as error:
        kind, said = type(error).__name__, str(error).strip()
        line = f"{kind}: {first_line(error)}" if said else kind
        raise UserError(f"{what}: {line}{place_of(error)}") from error
