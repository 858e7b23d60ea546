"""Lanes that train the runs of a job: processes on the CPU, streams on CUDA."""

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
from normbench.engine.cuda_lanes import MOST_LANES, CudaLanes
from normbench.engine.lanes import Lanes, ProcessLanes
from normbench.engine.memory import keep_freed_memory
from normbench.engine.training import Result, Training, finish, train
from normbench.engine.training import run as train_steps
from normbench.grid import Run
from normbench.interactive import unpack
from normbench.job import Recipe
from normbench.parts import make_probe, plan_of
from normbench.probes.probe import Measurement
from normbench.store.records import RecordStore


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


def make_lanes(recipe: Recipe, data: Dataset, lanes: int, adaptive: bool) -> Lanes:
    """What trains runs, or measures those of a probe.

    Args:
        recipe: how.
        data: on the device. Lanes that are processes open it by themselves.
        lanes: how many runs side by side.
        adaptive: whether on CUDA there may be less, as the runs' sizes ask for.
    """
    if recipe.device == "cpu":
        return ProcessLanes(lanes, partial(make_train, recipe))
    torch.set_num_threads(recipe.threads)
    data = data.first(recipe.limit) if recipe.limit else data
    device = torch.device(recipe.device)

    def begin(
        run: Run, stream: Stream, note: Callable[[str], None]
    ) -> Generator[int, None, Result | Measurement]:
        plan = plan_of(run, len(data.classes))
        if probe := run.settings.get("probe"):
            return (yield from make_probe(probe).measure(plan, data, device))
        checkpoint = checkpoint_of(run, recipe, data)
        if not recipe.graphs:
            yield 0
            return (yield from train_steps(Training(plan, data, device), checkpoint))
        return (yield from run_in_stream(plan, data, device, stream, note, checkpoint))

    return CudaLanes(begin, _cuda(), lanes, share_of_device if adaptive else None)


def make_train(recipe: Recipe) -> Callable[[Run, Callable[[int], Any]], Result | Measurement]:
    """What a lane on the CPU trains runs with, or measures those of a probe."""
    keep_freed_memory()
    unpack(recipe.interactive)
    torch.set_num_threads(recipe.threads)
    logging.getLogger("normbench.data").setLevel(logging.ERROR)  # the job has said the rest
    data, device = load_dataset(recipe.source), torch.device("cpu")
    data = data.first(recipe.limit) if recipe.limit else data

    def train_run(run: Run, report: Callable[[int], Any]) -> Result | Measurement:
        plan = plan_of(run, len(data.classes))
        if probe := run.settings.get("probe"):
            return finish(make_probe(probe).measure(plan, data, device), report)
        return train(plan, data, device, report, checkpoint_of(run, recipe, data))

    return train_run


def share_of_device(run: Run) -> float:
    """The share of a GPU that a run keeps busy, roughly: small batches are all launches."""
    return min(1 / 2, max(1 / MOST_LANES, run.batch_size / 256))


@cache
def _cuda() -> Cuda:
    return Cuda()
