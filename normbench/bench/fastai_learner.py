"""fastai's Learner on the same images, network and optimizer settings."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch

from normbench.bench.measure import Task, cannot_run, contender
from normbench.environment import available_cores
from normbench.parts import make_optimizer

WARM_UP_STEPS = 3


def main(task: Task) -> dict[str, Any]:
    try:
        from fastai.callback.core import Callback
        from fastai.callback.fp16 import MixedPrecision  # noqa: F401  (patches Learner)
        from fastai.learner import CancelFitException, CancelValidException, Learner
        from fastai.losses import CrossEntropyLossFlat
        from fastai.metrics import accuracy
        from fastai.optimizer import OptimWrapper
        from fastai.vision.augment import Resize, ResizeMethod
        from fastai.vision.data import ImageDataLoaders
    except ImportError:
        cannot_run('not installed: pip install "normbench[bench]"')
    if task.channels != 3:
        cannot_run("its loader of folders makes colours of grey images")
    if task.precision != "fp32" and task.device == "cpu":
        cannot_run(f"{task.precision} needs CUDA in fastai")

    class Stopwatch(Callback):
        """Times batches and ends the phase when its seconds are over."""

        def __init__(self) -> None:
            self.first = 0.0
            self.speed: dict[bool, float] = {}
            self.count: dict[bool, tuple[int, int, float]] = {}

        def after_batch(self) -> None:
            training, now = self.training, time.perf_counter()
            steps, images, since = self.count.get(training, (0, 0, 0.0))
            steps += 1
            if torch.cuda.is_available() and steps <= WARM_UP_STEPS:
                torch.cuda.synchronize()
            if steps == 1:
                self.first = self.first or time.time()
            if steps == WARM_UP_STEPS:
                since = time.perf_counter()
            if steps > WARM_UP_STEPS:
                images += len(self.yb[0])
                self.speed[training] = images / (now - since)
            self.count[training] = steps, images, since
            limit = task.seconds if training else task.seconds / 3
            if steps > WARM_UP_STEPS and now - since >= limit:
                raise CancelFitException if training else CancelValidException

    data = task.settings["data"]
    size = data["image_size"]
    method = ResizeMethod.Squish if data["fit"] == "squish" else ResizeMethod.Crop
    loaders = ImageDataLoaders.from_folder(
        task.images,
        train="train",
        valid="val",
        item_tfms=Resize(size, method=method),
        bs=task.batch_size,
        val_bs=128,
        num_workers=available_cores(),
        device=torch.device(task.device),
    )
    torch.backends.cudnn.benchmark = True
    stopwatch = Stopwatch()
    learner = Learner(
        loaders,
        task.network(len(loaders.vocab)),
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(OptimWrapper, opt=partial(make_optimizer, task.settings["optimizer"])),
        metrics=accuracy,
        cbs=[stopwatch],
    )
    if task.precision == "fp16":
        learner = learner.to_fp16()
    elif task.precision == "bf16":
        learner = learner.to_bf16()
    with learner.no_bar(), learner.no_logging():
        learner.fit(100, lr=0.01)
        while False not in stopwatch.speed:  # again, where there are few images
            learner.validate()
    return {
        "startup_seconds": stopwatch.first - task.launched,
        "images_per_second": stopwatch.speed[True],
        "evaluation_images_per_second": stopwatch.speed[False],
    }


if __name__ == "__main__":
    contender(main)
