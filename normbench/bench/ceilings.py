"""What the device can do at most, and what a training step asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from normbench.bench.measure import Task, contender
from normbench.engine.training import AUTOCAST
from normbench.environment import available_cores


def main(task: Task) -> dict[str, Any]:
    """flops and bytes are a second for the device, an image for the step.

    A step's bytes are those of all operands of all its operators, as if none were in a cache.
    """
    device = torch.device(task.device)
    dtype = AUTOCAST[task.precision] or torch.float32
    torch.set_num_threads(available_cores())
    side, length = (8192, 2**30) if device.type == "cuda" else (2048, 2**26)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    matrix = 2 * side**3 / best_seconds(lambda: a @ b, task.seconds / 3, device)
    source = torch.zeros(length, device=device)
    target = torch.empty_like(source)
    memory = 2 * 4 * length / best_seconds(lambda: target.copy_(source), task.seconds / 3, device)

    model = task.network(10).to(device, memory_format=torch.channels_last)
    size = task.settings["data"]["image_size"]
    images = torch.rand(task.batch_size, 3, size, size, device=device)
    labels = torch.zeros(task.batch_size, dtype=torch.int64, device=device)
    with (
        FlopCounterMode(display=False) as flops,
        CountBytes() as traffic,
        torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
    ):
        F.cross_entropy(model(images).float(), labels).backward()
    return {
        "matrix_flops": matrix,
        "memory_bytes": memory,
        "flops_per_image": flops.get_total_flops() / task.batch_size,
        "bytes_per_image": traffic.bytes / task.batch_size,
    }


class CountBytes(TorchDispatchMode):
    """Adds up the sizes of the tensors that operators read and write; views are free."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += sum(
                leaf.numel() * leaf.element_size()
                for leaf in tree_leaves((args, kwargs, out))
                if isinstance(leaf, torch.Tensor)
            )
        return out


def best_seconds(work: Callable[[], Any], seconds: float, device: torch.device) -> float:
    """The shortest time that a piece of work took within some seconds."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    contender(main)
