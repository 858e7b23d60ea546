"""A whole grid by the loop that people write, one run after another."""

from __future__ import annotations

import itertools
import time
from statistics import mean
from typing import Any

from normbench.bench.measure import Task, contender
from normbench.bench.plain import PlainLoop


def main(task: Task) -> dict[str, Any]:
    grid = task.grid
    for batch_size, lr in itertools.product(grid["batch_size"], grid["lr"]):
        accuracies = [
            PlainLoop(task, batch_size, lr, seed).run(grid["epochs"]) for seed in grid["seeds"]
        ]
        print(f"{batch_size} | {lr} | {mean(accuracies):.2f}")
    return {"seconds": time.time() - task.launched}


if __name__ == "__main__":
    contender(main)
