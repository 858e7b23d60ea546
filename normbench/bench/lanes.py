"""normbench itself: runs of one epoch, side by side, as `normbench run` trains them."""

from __future__ import annotations

import time
from typing import Any

from normbench.bench.measure import Task, contender
from normbench.data.load import load_dataset
from normbench.engine.lanes import Event
from normbench.engine.training import Result
from normbench.grid import Run
from normbench.job import Recipe, prepare_lanes
from normbench.runs.lanes import make_lanes


def main(task: Task) -> dict[str, Any]:
    prepare_lanes(task.device)
    settings = task.settings | {"train": task.settings["train"] | {"epochs": 1}}
    data = load_dataset(task.source).to(task.device)
    recipe = Recipe(task.source, task.device, task.threads, limit=task.limit)
    first: list[float] = []

    def notice(event: Event) -> None:
        if event.steps and not first:
            first.append(time.time())

    lanes = make_lanes(recipe, data, task.lanes, adaptive=False)
    results: list[Result] = []
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
    images = min(len(data.val.labels), task.limit or 10**9)
    return {
        "startup_seconds": first[0] - task.launched,
        "images_per_second": sum(r.images_per_second for r in results),
        "evaluation_images_per_second": sum(images / r.evaluation_seconds for r in results),
    }


if __name__ == "__main__":
    contender(main)
