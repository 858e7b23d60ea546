"""A run's state: all that its next steps depend on, listed here and nowhere else.

A state is a tree: dicts, lists and tuples of tensors and plain values, so it can go to a file. It
is brought back in place, as captured graphs and flat parameters know tensors by their memory.

What counts of an object, be it the training, its metrics, a layer or the optimizer, are the
attributes that hold plain values, tensors or random generators, however many there are: nobody has
to tell. Whatever else a layer keeps is for its ``get_extra_state`` and ``set_extra_state``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from normbench.engine.training import Training

PLAIN = {type(None), bool, int, float, complex, str, bytes}
# Attributes of a layer or an optimizer that are no plain values of its own.
OF_A_MODULE = vars(nn.Module()).keys() - {"training"}
OF_AN_OPTIMIZER = {"param_groups"}


def state_of(training: Training) -> dict[str, Any]:
    """The state of a run, made of the run's own tensors: for a file, or to be copied.

    Gradients are no part of it: a step makes its own.
    """
    return _with_tensors(torch.Tensor.detach, _parts(training))


def restore_state(training: Training, state: dict[str, Any], keep_memory: bool = False) -> None:
    """Bring a run to a state of a run with the same plan but for seed and learning rate, in place.

    Args:
        keep_memory: what the optimizer has and the state has not becomes zeros; else it is removed.
    """
    with torch.no_grad():
        _put(training, _fill(_parts(training), state), keep_memory)


def form_of(training: Training) -> dict[str, Any]:
    """What a run's state is made of: its plain values, and of tensors all but their numbers.

    Without an optimizer's attributes, which are torch's own affair.
    """
    form = _with_tensors(lambda t: (tuple(t.shape), t.stride(), t.dtype), _parts(training))
    del form["optimizer"]["attributes"]
    return form


class Snapshot:
    """A run's state as it is now, to be brought back any number of times.

    Gradients come back as the tensors that they are now, whatever these hold by then.
    """

    def __init__(self, training: Training):
        self.training = training
        self.parts = _parts(training)
        # one deepcopy of all, in which views of a tensor are views of its copy
        self.values = copy.deepcopy(_with_tensors(torch.Tensor.detach, self.parts))
        params = {*training.model.parameters(), *training.parameters.tensors}
        self.gradients = [(p, p.grad) for p in params]

    def restore(self, keep_memory: bool = False) -> None:
        """Have every tensor where it was, with the numbers that it held.

        Args:
            keep_memory: what the optimizer has made since becomes zeros; else it is removed.
        """
        with torch.no_grad():
            _put(self.training, _fill(self.parts, self.values), keep_memory)
        for p, gradient in self.gradients:
            p.grad = gradient


def _parts(training: Training) -> dict[str, Any]:
    """A run's state, made of the very tensors that stand in it."""
    augmentation = training.augmentation
    on_device = training.device.type == "cuda"
    parts = {
        "training": _known(vars(training)),
        "metrics": _known(vars(training.metrics)),
        "augmentation": _known(vars(augmentation)) if augmentation else {},
        "parameters": [p.data for p in training.parameters.tensors],
        "layers": {name: _layer(module) for name, module in training.model.named_modules()},
        "optimizer": _optimizer(training.optimizer),
        "scaler": training.scaler.state_dict(),
        "random": torch.get_rng_state(),
        "device_random": torch.cuda.get_rng_state(training.device) if on_device else None,
    }
    return _with_tensors(lambda tensor: tensor, parts)  # lists and dicts may change under us


def _put(training: Training, state: dict[str, Any], keep_memory: bool = False) -> None:
    _bring_back(vars(training), state["training"])
    _bring_back(vars(training.metrics), state["metrics"])
    if training.augmentation:
        _bring_back(vars(training.augmentation), state["augmentation"])
    for p, data in zip(training.parameters.tensors, state["parameters"], strict=True):
        p.data = data
    for name, module in training.model.named_modules():
        _put_layer(module, state["layers"][name])
    _put_optimizer(training.optimizer, state["optimizer"], keep_memory)
    training.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["random"])
    if state["device_random"] is not None:
        torch.cuda.set_rng_state(state["device_random"], training.device)


def _layer(module: nn.Module) -> dict[str, Any]:
    parameters = dict(module.named_parameters(recurse=False))
    layer = {
        "attributes": _known(vars(module), but=OF_A_MODULE),
        "parameters": {name: p.data for name, p in parameters.items()},
        "trained": {name: p.requires_grad for name, p in parameters.items()},
        "buffers": dict(module._buffers),
    }
    if type(module).get_extra_state is not nn.Module.get_extra_state:
        layer["extra"] = module.get_extra_state()
    return layer


def _put_layer(module: nn.Module, layer: dict[str, Any]) -> None:
    _bring_back(vars(module), layer["attributes"], but=OF_A_MODULE)
    for name, p in module.named_parameters(recurse=False):
        p.data = layer["parameters"][name]
        p.requires_grad_(layer["trained"][name])
    module._buffers.clear()
    module._buffers.update(layer["buffers"])
    if "extra" in layer:
        module.set_extra_state(layer["extra"])


def _optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Parameters are told by their number, counted through all groups."""
    numbers = {p: number for number, p in enumerate(_updated_by(optimizer))}
    return {
        "attributes": _known(vars(optimizer), but=OF_AN_OPTIMIZER),
        "groups": [_known(group, but={"params"}) for group in optimizer.param_groups],
        "state": {numbers.get(p, p): values for p, values in optimizer.state.items()},
    }


def _put_optimizer(
    optimizer: torch.optim.Optimizer, kept: dict[str, Any], keep_memory: bool
) -> None:
    _bring_back(vars(optimizer), kept["attributes"], but=OF_AN_OPTIMIZER)
    for group, values in zip(optimizer.param_groups, kept["groups"], strict=True):
        _bring_back(group, values, but={"params"})
    params = _updated_by(optimizer)
    state = {params[key] if type(key) is int else key: v for key, v in kept["state"].items()}
    if keep_memory:
        for p, made in optimizer.state.items():
            known = state.get(p, {})
            new = {name: t for name, t in made.items() if name not in known}
            state[p] = known | {name: t.zero_() for name, t in new.items() if isinstance(t, Tensor)}
    optimizer.state.clear()
    optimizer.state.update(state)


def _updated_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _known(values: dict[str, Any], but: Collection[str] = ()) -> dict[str, Any]:
    """What belongs to a state among named values: generators as their own state, and the plain."""
    return {
        name: value.get_state() if isinstance(value, torch.Generator) else value
        for name, value in values.items()
        if name not in but and (isinstance(value, torch.Generator) or _is_plain(value))
    }


def _bring_back(values: dict[str, Any], kept: dict[str, Any], but: Collection[str] = ()) -> None:
    """Have named values be what ``_known`` told of them; new ones go."""
    for name in _known(values, but).keys() - kept.keys():
        del values[name]
    for name, value in kept.items():
        current = values.get(name)
        if isinstance(current, torch.Generator):
            current.set_state(value)
        elif type(current) is type(value) is list:  # others may know it, too
            current[:] = value
        elif type(current) is type(value) is dict:
            current.clear()
            current.update(value)
        else:
            values[name] = value


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) in PLAIN for key in value) and all(map(_is_plain, value.values()))
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return type(value) in PLAIN or isinstance(value, Tensor)


def _with_tensors(change: Callable[[Tensor], Any], tree: Any) -> Any:
    """A tree of the same shape, its tensors changed."""
    if type(tree) is dict:
        return {name: _with_tensors(change, value) for name, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(_with_tensors(change, value) for value in tree)
    return change(tree) if isinstance(tree, Tensor) else tree


def _fill(places: Any, values: Any) -> Any:
    """A tree of values, whose tensors are those of places wherever they fit, written to."""
    if type(values) is dict:
        places = places if type(places) is dict else {}
        return {name: _fill(places.get(name), value) for name, value in values.items()}
    if type(values) in (list, tuple):
        if type(places) is not type(values) or len(places) != len(values):
            places = [None] * len(values)
        return type(values)(map(_fill, places, values))
    if isinstance(places, Tensor) and isinstance(values, Tensor) and _fits(places, values):
        return places.copy_(values)
    return copy.deepcopy(values)


def _fits(place: Tensor, value: Tensor) -> bool:
    """Whether a value can be written to a place, where each number has memory of its own."""
    repeats = [n for n, stride in zip(place.shape, place.stride(), strict=True) if stride == 0]
    alone = all(n <= 1 for n in repeats)
    return alone and (place.shape, place.dtype) == (value.shape, value.dtype)
