"""What a computation costs: seconds, measured fairly against others, and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def interleaved_seconds(
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float,
    device: torch.device,
) -> dict[str, list[float]]:
    """Seconds a call of each action, once a round: what slows a machine for a while slows all.

    Args:
        actions: by name.
        rounds: how often to go through them, every other time backwards.
        seconds: roughly how long to repeat an action each time.
    """

    def measure(action: Callable[[], object], calls: int) -> float:
        _wait(device)
        start = time.perf_counter()
        for _ in range(calls):
            action()
        _wait(device)
        return (time.perf_counter() - start) / calls

    calls = {}
    for name, action in actions.items():
        measure(action, 2)  # the first calls make room and choose kernels
        calls[name] = max(1, round(seconds / measure(action, 2)))
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for i in range(rounds):
        for name in list(actions)[:: -1 if i % 2 else 1]:
            measured[name].append(measure(actions[name], calls[name]))
    return measured


def saved_bytes(forward: Callable[[], Tensor], model: nn.Module, *inputs: Tensor) -> int:
    """Bytes of memory that a forward pass keeps for the backward pass.

    Each piece of memory counts once; parameters, buffers and inputs, there anyway, do not count.
    """
    there = [*model.parameters(), *model.buffers(), *inputs]
    known = {t.untyped_storage().data_ptr() for t in there}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        forward()
    return sum(kept.values())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
