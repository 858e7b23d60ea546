"""Leaving a run's path: whatever is done with it meanwhile, it goes on as if nothing had been."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from normbench.engine.training import Training


@contextmanager
def excursion(training: Training) -> Iterator[None]:
    """Everything that a run's next steps depend on is at the end what it was at the beginning.

    That is parameters, whether they are trained, and buffers; the modes of the layers; the state
    of the optimizer, the gradient scaler and all random numbers; the sums of the metrics and the
    number of steps done. Inside, gradients start from none.
    """
    params = [(p, p.data, p.data.clone(), p.grad, p.requires_grad) for p in _parameters(training)]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in training.model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    modes = [(module, module.training) for module in training.model.modules()]
    groups = [
        {key: _copied(value) for key, value in group.items() if key != "params"}
        for group in training.optimizer.param_groups
    ]
    state = [
        (p, values, {key: (value, _copied(value)) for key, value in values.items()})
        for p, values in training.optimizer.state.items()
    ]
    scaler = training.scaler.state_dict()
    metrics = [(total, total.clone()) for total in (training.metrics.loss, training.metrics.right)]
    order, steps_done = training.order.get_state(), training.steps_done
    random = torch.get_rng_state()
    on_device = torch.cuda.get_rng_state() if training.device.type == "cuda" else None
    for p in training.model.parameters():
        p.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for p, data, value, grad, trained in params:
                data.copy_(value)
                p.data, p.grad = data, grad
                p.requires_grad_(trained)
            for module, name, buffer, value in buffers:
                buffer.copy_(value)
                module._buffers[name] = buffer
            for total, value in metrics:
                total.copy_(value)
        for module, mode in modes:
            module.training = mode
        for group, values in zip(training.optimizer.param_groups, groups, strict=True):
            group.update(values)
        training.optimizer.state.clear()
        for p, values, entries in state:
            values.clear()
            for key, (value, before) in entries.items():
                values[key] = value.copy_(before) if isinstance(value, Tensor) else before
            training.optimizer.state[p] = values
        training.scaler.load_state_dict(scaler)
        training.order.set_state(order)
        training.steps_done = steps_done
        torch.set_rng_state(random)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device)


def _parameters(training: Training) -> list[torch.nn.Parameter]:
    """The model's, and those that the optimizer has in their place."""
    return list({*training.model.parameters(), *training.parameters.tensors})


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
