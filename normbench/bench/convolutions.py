"""What no trainer of a network can beat: its convolutions alone, forward and backward.

Those of one training step, with the tensors that they had in it, again and again: in a process for
each lane on the CPU, from a graph for each on CUDA, side by side.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from normbench.bench.measure import Task, cannot_run, contender
from normbench.engine.memory import keep_freed_memory
from normbench.engine.training import AUTOCAST
from normbench.explain import first_line

CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)
PATIENCE = 120.0  # seconds that processes may take to start
MOST_IMAGES = 1024  # in all lanes together, of a GPU's memory


def main(task: Task) -> dict[str, Any]:
    speed = _on_cuda(task) if task.device == "cuda" else _on_cpu(task)
    return {"images_per_second": speed}


class Convolutions(TorchDispatchMode):
    """Remembers the convolutions that happen inside, forward and backward, and repeats them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in CONVOLUTIONS:
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))

    @torch.no_grad()
    def repeat(self) -> None:
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


def convolutions_of(task: Task) -> Convolutions:
    """The convolutions of a training step, of images channels_last, as trainers have them."""
    device, dtype = torch.device(task.device), AUTOCAST[task.precision]
    model = task.network(10).to(device, memory_format=torch.channels_last)
    size = task.settings["data"]["image_size"]
    channels = len(task.settings["data"]["mean"])
    images = torch.rand(task.batch_size, channels, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(task.batch_size, dtype=torch.int64, device=device)
    with Convolutions() as convolutions:
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()
    return convolutions


def _on_cpu(task: Task) -> float:
    """Images a second, of as many processes as there are lanes."""
    context = multiprocessing.get_context("spawn")
    barrier, speeds = context.Barrier(task.lanes, timeout=PATIENCE), context.Queue()
    processes = [
        context.Process(target=_one_process, args=(task, barrier, speeds), daemon=True)
        for _ in range(task.lanes)
    ]
    for process in processes:
        process.start()
    return sum(speeds.get(timeout=PATIENCE + 2 * task.seconds) for _ in processes)


def _one_process(task: Task, barrier: Any, speeds: Any) -> None:
    keep_freed_memory()
    torch.set_num_threads(task.threads)
    repeat = convolutions_of(task).repeat
    repeat()
    barrier.wait()
    speeds.put(task.batch_size * rate(repeat, task.seconds / 3))


def _on_cuda(task: Task) -> float:
    torch.backends.cudnn.benchmark = True
    lanes = max(1, min(task.lanes, MOST_IMAGES // task.batch_size))
    try:
        graphs = []
        for _ in range(lanes):
            convolutions, stream = convolutions_of(task), torch.cuda.Stream()
            torch.cuda.synchronize()
            with torch.cuda.stream(stream):
                convolutions.repeat()  # what happens only once
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=stream):
                convolutions.repeat()
            graphs.append((graph, stream, convolutions))
    except RuntimeError as error:  # a library that no graph can hold, memory that is full
        cannot_run(first_line(error))

    def repeat() -> None:
        for graph, stream, _ in graphs:
            with torch.cuda.stream(stream):
                graph.replay()
        torch.cuda.synchronize()

    return lanes * task.batch_size * rate(repeat, task.seconds / 3)


def rate(work: Callable[[], Any], seconds: float) -> float:
    """How often a piece of work is done in a second, on average over some seconds."""
    start, done = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds or not done:
        work()
        done += 1
    return done / taken


if __name__ == "__main__":
    contender(main)
