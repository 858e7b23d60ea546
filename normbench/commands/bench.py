"""Images a second, against the loop people write and fastai's Learner."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.config import MISSING, JobConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from normbench.bench.measure import Task
    from normbench.job import Job

EXAMPLES = """\
normbench bench
normbench bench data.image_size=128 bench.grid.seeds=[]
normbench bench bench.short=true data=synthetic
"""

CONTENDERS = {
    "plain": "normbench.bench.plain",
    "fastai": "normbench.bench.fastai_learner",
}
# settings of a benchmark, and where things are, which the command of a grid does not take, or tell
NOT_OF_A_RUN = ("bench.", "train.epochs=", "train.precision=", "results.dir=", "data.cache=")
PLACES = ("data.root=", "--config-dir=")
SHORT_SECONDS = 2.0
SHORT_IMAGES = 1024


@dataclass
class GridSettings:
    batch_size: list[int] = MISSING
    lr: list[float] = MISSING
    seeds: list[int] = MISSING
    epochs: int = MISSING


@dataclass
class BenchSettings:
    batch_sizes: list[int] = MISSING
    scaling_lanes: list[int] = MISSING
    scaling_batch_sizes: list[int] = MISSING
    grid: GridSettings = field(default_factory=GridSettings)
    seconds: float = MISSING
    short: bool = False


@dataclass
class Config(JobConfig):
    bench: BenchSettings = field(default_factory=BenchSettings)


def main(cfg: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    from normbench.bench.images import images_as_files
    from normbench.checks import check_batch_sizes, check_count
    from normbench.data.load import Datasets
    from normbench.environment import busy_machine, environment
    from normbench.errors import UserError
    from normbench.job import resolve
    from normbench.report.bench import headline, render
    from normbench.settings import plain
    from normbench.store.files import write_atomically
    from normbench.store.keys import stable

    for name in ("batch_sizes", "scaling_lanes", "scaling_batch_sizes"):
        for value in cfg.bench[name]:
            check_count(f"bench.{name}", value, auto=False)
    check_count("bench.grid.epochs", cfg.bench.grid.epochs, auto=False)
    for value in cfg.bench.grid.batch_size:
        check_count("bench.grid.batch_size", value, auto=False)
    if not cfg.bench.seconds > 0:
        raise UserError(f"bench.seconds={cfg.bench.seconds} is not valid: give seconds above 0")
    job = resolve(cfg, list(HydraConfig.get().overrides.task), Datasets())
    bench = plain(cfg)["bench"]
    images = {"train": len(job.data.train.labels), "val": len(job.data.val.labels)}
    sizes = bench["batch_sizes"], bench["scaling_batch_sizes"], bench["grid"]["batch_size"]
    check_batch_sizes([size for some in sizes for size in some], images["train"])

    busy = busy_machine()
    if busy:
        print(f"normbench: {busy}: ratios may be far off; measure again when it is quiet",
              file=sys.stderr)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        images_as_files(job.recipe.source, Path(folder))
        result = _measure_all(job, bench, folder)
        result["grid"] = _measure_grid(job, bench, folder)
    device, precision = job.recipe.device, job.settings["train"]["precision"]
    result |= {
        "config": stable(job.settings) | {"bench": bench},
        "images": images,
        "precision": precision,
        "busy": busy,
        "environment": environment(device, result["threads"]),
    }
    model, norm = job.settings["model"]["name"], job.settings["norm"]["name"]
    size = f"{job.settings['data']['image_size']}px"
    name = "_".join([device, model, norm, size, precision] + ["short"] * bench["short"])
    path = job.store.results / "bench" / name
    write_atomically(path.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    text = render(result)
    write_atomically(path.with_suffix(".md"), text)
    print(text)
    print(headline(result))
    print(f"Written to {path}.md and {path}.json")


def _measure_all(job: Job, bench: dict[str, Any], folder: str) -> dict[str, Any]:
    """Every contender at every batch size, one after another."""
    from normbench.bench.measure import measure

    short, auto = bench["short"], job.lanes
    task = _task(job, bench, folder)
    ours: dict[tuple[int, int], dict[str, Any]] = {}

    def lanes(batch_size: int, count: int) -> dict[str, Any]:
        if (batch_size, count) not in ours:
            _say(f"{_ours(count)}, batch size {batch_size}")
            ours[batch_size, count] = measure(
                "normbench.bench.lanes", replace(task, batch_size=batch_size, lanes=count)
            )
        return ours[batch_size, count]

    rows = []
    for batch_size in bench["batch_sizes"]:
        at = replace(task, batch_size=batch_size)
        _say(f"ceilings, batch size {batch_size}")
        ceilings = measure("normbench.bench.ceilings", at)
        _say(f"convolutions alone, batch size {batch_size}")
        limit = measure("normbench.bench.convolutions", replace(at, lanes=auto))
        contenders = {}
        for name, module in CONTENDERS.items():
            _say(f"{name}, batch size {batch_size}")
            contenders[name] = measure(module, at)
        for count in sorted({1, auto}):
            contenders[_ours(count)] = lanes(batch_size, count) | {"lanes": count}
        row = {"batch_size": batch_size, "ceilings": ceilings, "convolutions": limit}
        rows.append(row | {"contenders": contenders})
    return {
        "rows": rows,
        "threads": task.threads,
        "by_lanes": [
            {"batch_size": batch_size, "lanes": count, **lanes(batch_size, count)}
            for batch_size in bench["batch_sizes"]
            for count in bench["scaling_lanes"]
            if not short
        ],
        "by_batch_size": [
            {"batch_size": batch_size, "lanes": auto, **lanes(batch_size, auto)}
            for batch_size in bench["scaling_batch_sizes"]
            if not short
        ],
    }


def _measure_grid(job: Job, bench: dict[str, Any], folder: str) -> dict[str, Any]:
    """All runs of a grid by the plain loop and by us, from start to end; {} if not asked for."""
    from normbench.bench.measure import measure

    grid = bench["grid"]
    axes = [grid[name] for name in ("batch_size", "lr", "seeds")]
    if bench["short"] or not all(axes):
        return {}
    typed = _choices() + [f"grid.{name}={grid[name]}" for name in ("batch_size", "lr", "seeds")]
    typed += [
        f"train.epochs={grid['epochs']}",
        f"train.precision={job.settings['train']['precision']}",
    ]
    typed = [word.replace(" ", "") for word in typed]
    task = replace(_task(job, bench, folder), grid=grid, command=typed)
    contenders = {}
    for name, module in {"plain": "plain_grid", "normbench": "own_grid"}.items():
        _say(f"a whole grid, {name}")
        contenders[name] = measure(f"normbench.bench.{module}", task)
    return {
        "runs": math.prod(map(len, axes)),
        "command": ["run", *(word for word in typed if not word.startswith(PLACES))],
        "contenders": contenders,
    }


def _choices() -> list[str]:
    """What was typed of how to train, and the optimizer and schedule that ``bench`` has."""
    from hydra.core.hydra_config import HydraConfig

    chosen = HydraConfig.get()
    typed = [
        word for word in chosen.overrides.task if not word.lstrip("+~").startswith(NOT_OF_A_RUN)
    ]
    named = {word.lstrip("+~").partition("=")[0] for word in typed}
    choices = chosen.runtime.choices
    typed += [f"{g}={choices[g]}" for g in ("optimizer", "schedule") if g not in named]
    folders = [s.path for s in chosen.runtime.config_sources if s.provider == "command-line"]
    return typed + [f"--config-dir={folder}" for folder in folders]


def _task(job: Job, bench: dict[str, Any], folder: str) -> Task:
    from normbench.bench.measure import Task

    return Task(
        settings=job.settings,
        source=job.recipe.source,
        images=folder,
        batch_size=0,
        device=job.recipe.device,
        seconds=SHORT_SECONDS if bench["short"] else float(bench["seconds"]),
        limit=SHORT_IMAGES if bench["short"] else None,
        threads=job.recipe.threads,
    )


def _ours(lanes: int) -> str:
    return f"normbench, {lanes} lane{'s' * (lanes > 1)}"


def _say(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)
