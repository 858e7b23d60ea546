#!/usr/bin/env python3
"""Ten thousand runs over five hundred workers on one results folder, without training anything.

A worker does what a job of a sweep does with the folder: it claims a run, sleeps for as long as
the training would take, writes the record, and goes on to the next. Some workers are killed in the
middle of it and their jobs started again. Then what a user waits for is timed: `normbench table`,
`normbench status`, and the look for what a grid still lacks.

    scripts/simulate_cluster.py --runs 10000 --workers 500 --seconds 2 results_folder
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from normbench.grid import Run
from normbench.runs.missing import Missing, announce
from normbench.store.records import SCHEMA, RecordStore

NORMS = ("none", "batchnorm", "layernorm", "groupnorm", "ws_groupnorm")


def grids(runs: int) -> list[list[Run]]:
    """So many runs in all, as those of a sweep: a grid for each norm."""
    seeds = -(-runs // (len(NORMS) * 4))
    made = []
    for norm in NORMS:
        settings = {
            "data": {"name": "made_up", "image_size": 64},
            "model": {"name": "cnn4", "widths": [16, 32, 64, 128]},
            "norm": {"name": norm, "layer": {"_target_": f"normbench.norms.{norm}"}},
            "optimizer": {"name": "sgd"},
            "schedule": {"name": "constant"},
            "train": {"epochs": 3, "precision": "fp32"},
        }
        axes = [(b, lr, s) for b in (128, 2) for lr in (0.01, 0.001) for s in range(seeds)]
        made.append([Run(settings, *values) for values in axes][: runs // len(NORMS)])
    return made


def record_of(run: Run, grid: list[Run]) -> dict:
    """What a run measured, were it to train: the same whenever it is asked for."""
    draw = random.Random(run.key)
    epoch = {"train_loss": draw.random(), "val_loss": draw.random(), "val_accuracy": draw.random()}
    axes = {
        "batch_size": sorted({r.batch_size for r in grid}, reverse=True),
        "lr": sorted({r.lr for r in grid}, reverse=True),
        "seeds": sorted({r.seed for r in grid}),
    }
    return {
        "schema": SCHEMA,
        "key": run.key,
        "config": run.settings | {"grid": axes},
        "batch_size": run.batch_size,
        "lr": run.lr,
        "seed": run.seed,
        "status": "finished",
        "epochs": [epoch] * 3,
        "train_seconds": 100.0,
        "evaluation_seconds": 10.0,
        "images_per_second": 300.0,
        "environment": {"device": "none", "commit": None, "normbench": "0", "cores": 1},
    }


def work(arguments: argparse.Namespace) -> None:
    """One process: its share of the workers, each with its share of the jobs."""
    jobs = [(run, grid) for grid in grids(arguments.runs) for run in grid]
    trained = threading.Semaphore(0)

    def job(run: Run, grid: list[Run]) -> None:
        missing = Missing([run], RecordStore(arguments.results), False, lambda *_: None)
        while missing.open:
            if missing.take() is None:
                time.sleep(0.1)
                continue
            time.sleep(random.uniform(0.5, 1.5) * arguments.seconds)
            missing.finish(run, record_of(run, grid), "", "")
            trained.release()

    mine = jobs[arguments.process :: arguments.processes]
    with ThreadPoolExecutor(arguments.workers // arguments.processes) as workers:
        for done in [workers.submit(job, *pair) for pair in mine]:
            done.result()
    print(trained._value)


def start(arguments: argparse.Namespace, process: int) -> subprocess.Popen:
    typed = [sys.executable, __file__, str(arguments.results), "--process", str(process)]
    for name in ("runs", "workers", "seconds", "processes"):
        typed += [f"--{name}", str(getattr(arguments, name))]
    return subprocess.Popen(typed, stdout=subprocess.PIPE, text=True)


def simulate(arguments: argparse.Namespace) -> int:
    """All processes, some of which are killed and started again; how many trainings ended."""
    store = RecordStore(arguments.results)
    store.make_writable()
    for grid in grids(arguments.runs):
        announce(store.results, grid)
    workers = [start(arguments, number) for number in range(arguments.processes)]
    draw = random.Random(0)
    for victim in draw.sample(range(arguments.processes), arguments.kills):
        time.sleep(draw.uniform(1, 2) * arguments.seconds)
        workers[victim].send_signal(signal.SIGKILL)
        workers[victim].communicate()
        workers[victim] = start(arguments, victim)
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        sys.exit("a worker failed")
    store.tidy()
    return sum(map(int, outputs))


def timed(what: str, function) -> str:
    start = time.perf_counter()
    result = function()
    print(f"{what:<40} {time.perf_counter() - start:6.2f} s")
    return result


def command(arguments: argparse.Namespace, name: str) -> str:
    typed = [sys.executable, "-m", "normbench", name, f"results.dir={arguments.results}"]
    return subprocess.run(typed, check=True, capture_output=True, text=True).stdout


def still_missing(arguments: argparse.Namespace) -> int:
    """What a sweep of all these grids does before it trains anything."""
    found = []
    for grid in grids(arguments.runs):
        store = RecordStore(arguments.results)
        missing = Missing(grid, store, False, lambda run, record: found.append(run))
        if missing.take() is not None:
            missing.close()
    return arguments.runs - len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a training takes")
    parser.add_argument("--processes", type=int, default=4 * (os.cpu_count() or 1))
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process is not None:
        work(arguments)
        return
    survivors = timed(
        f"{arguments.runs:,} runs, {arguments.workers} workers", lambda: simulate(arguments)
    )
    lacking = timed("what the grid still lacks", lambda: still_missing(arguments))
    timed("normbench table", lambda: command(arguments, "table"))
    status = timed("normbench status", lambda: command(arguments, "status"))
    aside = len(list((arguments.results / "records").glob("set_aside/*")))
    left = len([p for d in ("locks", "failures") for p in (arguments.results / d).glob("*")])
    print(f"missing {lacking}, recorded twice {aside}, left behind {left}")
    print(f"trained to the end by workers that lived: {survivors}\n{status}")
    if lacking or aside or left:
        sys.exit(1)


if __name__ == "__main__":
    main()
