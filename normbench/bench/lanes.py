"""normbench itself: runs of one epoch, side by side, as `normbench run` trains them."""

from __future__ import annotations

import time
from typing import Any

from omegaconf import OmegaConf

from normbench.assemble import make_lanes, prepare_lanes
from normbench.bench.measure import Task, contender
from normbench.config import outcome_settings
from normbench.data import load_dataset
from normbench.engine.lanes import Event
from normbench.grid import Run


def main(task: Task) -> dict[str, Any]:
    prepare_lanes(task.device)
    cfg = OmegaConf.create(task.config)
    cfg.train.epochs = 1
    settings = outcome_settings(cfg, task.precision, None)
    first: list[float] = []

    def notice(event: Event) -> None:
        if event.steps and not first:
            first.append(time.time())

    lanes = make_lanes(cfg, task.device, task.lanes, task.threads, task.limit)
    results = []
    for seed in range(task.lanes):
        lanes.start(Run(settings, task.batch_size, 0.01, seed))
    while len(results) < task.lanes:
        for event in lanes.wait():
            notice(event)
            if event.error:
                raise RuntimeError(event.error)
            if event.result:
                results.append(event.result)
    lanes.close()
    images = min(len(load_dataset(cfg.data).val.labels), task.limit or 10**9)
    return {
        "startup_seconds": first[0] - task.launched,
        "images_per_second": sum(r.images_per_second for r in results),
        "evaluation_images_per_second": sum(images / r.evaluation_seconds for r in results),
    }


if __name__ == "__main__":
    contender(main)
