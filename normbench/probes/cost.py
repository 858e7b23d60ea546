"""What a computation costs: seconds, measured fairly against others, and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

Action = Callable[[], object]


def seconds_in_turns(
    actions: Mapping[str, Action], rounds: int, seconds: float, device: torch.device
) -> Iterator[dict[str, float]]:
    """Seconds that a call of each action takes, for each round: what slows a machine for a while
    slows all of them.

    Args:
        actions: by name.
        rounds: how often to go through them, every other time backwards.
        seconds: roughly how long to repeat an action each time.
        device: that they run on.
    """

    def measure(action: Action, calls: int) -> float:
        _wait(device)
        start = time.perf_counter()
        for _ in range(calls):
            action()
        _wait(device)
        return (time.perf_counter() - start) / calls

    calls = {}
    for name, action in actions.items():
        measure(action, 3)  # the first calls make room and choose kernels
        calls[name] = max(1, round(seconds / measure(action, 3)))
    for i in range(rounds):
        names = list(actions)[:: -1 if i % 2 else 1]
        yield {name: measure(actions[name], calls[name]) for name in names}


def saved_bytes(forward: Action, model: nn.Module, *inputs: Tensor) -> int:
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


def peak_bytes(action: Action, device: torch.device) -> int | None:
    """Bytes that CUDA has allocated at most during an action, less those before; None elsewhere."""
    if device.type != "cuda":
        return None
    action()  # what stays from a first call on is not the action's
    _wait(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    action()
    _wait(device)
    return torch.cuda.max_memory_allocated(device) - before


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
