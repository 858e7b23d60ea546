"""Lanes that train the runs of a job: processes on the CPU, streams on CUDA.

A process that has lost its device, to a kernel that failed, has others go on, one for each lane.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from functools import cache, partial
from typing import Any

import torch

from normbench.data.dataset import Dataset
from normbench.data.load import load_dataset
from normbench.engine.captured import run_in_stream
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.cuda import Cuda, Stream
from normbench.engine.cuda_lanes import MOST_LANES, Begin, CudaLanes
from normbench.engine.lanes import Lanes, ProcessLanes, Spent
from normbench.engine.memory import keep_freed_memory
from normbench.engine.training import Ended, Result, Training, finish, train
from normbench.engine.training import run as train_steps
from normbench.engine.weights import Weights
from normbench.grid import Run
from normbench.interactive import unpack
from normbench.job import Recipe, prepare_lanes
from normbench.parts import make_probe, plan_of
from normbench.probes.probe import Measurement
from normbench.store.records import RecordStore

MOST_PROCESSES_ON_CUDA = 2  # as each has libraries and images of its own on the device

log = logging.getLogger(__name__)


def checkpoint_of(run: Run, recipe: Recipe, data: Dataset) -> Checkpoint | None:
    """Where a run's state is kept between epochs, if it is."""
    if recipe.results is None:
        return None
    about = {
        "run": run.key,
        "code": recipe.code,
        "torch": str(torch.__version__),  # which is a class of its own
        "data": data.digest,
        "device": recipe.device,
        "threads": recipe.threads,
    }
    path = RecordStore(recipe.results).checkpoint(run.key)
    return Checkpoint(path, about, always=recipe.checkpoint_always)


def weights_of(run: Run, recipe: Recipe, data: Dataset) -> Ended | None:
    """What keeps a run's weights, if they are to be kept."""
    if recipe.weights is None:
        return None
    about = {
        "key": run.key,
        "model": run.settings["model"],
        "norm": run.settings["norm"],
        "classes": list(data.classes),
        "data": {name: run.settings["data"][name] for name in ("image_size", "mean", "std")},
    }
    return Weights(RecordStore(recipe.weights).weights(run.key), about).keep


def make_lanes(recipe: Recipe, data: Dataset, lanes: int, adaptive: bool) -> Lanes:
    """What trains runs, or measures those of a probe.

    Args:
        recipe: how.
        data: on the device. Lanes that are processes open it by themselves.
        lanes: how many runs side by side.
        adaptive: whether on CUDA there may be less, as the runs' sizes ask for.
    """
    in_processes = partial(make_train, recipe)
    if recipe.device == "cpu":
        return ProcessLanes(lanes, in_processes)

    def elsewhere() -> ProcessLanes:
        prepare_lanes("cpu")
        return ProcessLanes(min(lanes, MOST_PROCESSES_ON_CUDA), in_processes)

    torch.set_num_threads(recipe.threads)
    begin = make_begin(recipe, data)
    return CudaLanes(begin, _cuda(), lanes, elsewhere, share_of_device if adaptive else None)


def make_begin(recipe: Recipe, data: Dataset) -> Begin:
    """What trains runs on CUDA, or measures those of a probe, in a stream."""
    data = data.first(recipe.limit) if recipe.limit else data
    device = torch.device(recipe.device)

    def begin(
        run: Run, stream: Stream, note: Callable[[str], None]
    ) -> Generator[int, None, Result | Measurement]:
        plan = plan_of(run, len(data.classes))
        if probe := run.settings.get("probe"):
            return (yield from make_probe(probe).measure(plan, data, device))
        checkpoint, ended = checkpoint_of(run, recipe, data), weights_of(run, recipe, data)
        if not recipe.graphs:
            yield 0
            return (yield from train_steps(Training(plan, data, device), checkpoint, ended))
        return (yield from run_in_stream(plan, data, device, stream, note, checkpoint, ended))

    return begin


def make_train(recipe: Recipe) -> Callable[[Run, Callable[[int], Any]], Result | Measurement]:
    """What a lane that is a process trains runs with, or measures those of a probe."""
    keep_freed_memory()
    unpack(recipe.interactive)
    torch.set_num_threads(recipe.threads)
    logging.getLogger("normbench.data").setLevel(logging.ERROR)  # the job has said the rest
    data, device = load_dataset(recipe.source), torch.device(recipe.device)
    if recipe.device != "cpu":
        return train_on_cuda(make_begin(recipe, data.to(device)), _cuda())
    data = data.first(recipe.limit) if recipe.limit else data

    def train_run(run: Run, report: Callable[[int], Any]) -> Result | Measurement:
        plan = plan_of(run, len(data.classes))
        if probe := run.settings.get("probe"):
            return finish(make_probe(probe).measure(plan, data, device), report)
        kept = checkpoint_of(run, recipe, data), weights_of(run, recipe, data)
        return train(plan, data, device, report, *kept)

    return train_run


def train_on_cuda(begin: Begin, cuda: Cuda) -> Callable[[Any, Callable[[int], Any]], Any]:
    """What a process trains a task with that has the device to itself, until it loses it."""

    def train_task(task: Any, report: Callable[[int], Any]) -> Any:
        try:
            stream = cuda.take_stream()
            with stream.use():
                result = finish(begin(task, stream, log.info), report)
            cuda.give_back(stream)
            return result
        except Exception as error:
            if not cuda.works():
                raise Spent from error
            raise

    return train_task


def share_of_device(run: Run) -> float:
    """The share of a GPU that a run keeps busy, roughly: small batches are all launches."""
    return min(1 / 2, max(1 / MOST_LANES, run.batch_size / 256))


@cache
def _cuda() -> Cuda:
    return Cuda()
