"""Images a second, against the loop people write and fastai's Learner."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normbench.config import MISSING, JobConfig

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from normbench.job import Job

EXAMPLES = """\
normbench bench
normbench bench bench.short=true data=synthetic
"""

CONTENDERS = {
    "plain": "normbench.bench.plain",
    "fastai": "normbench.bench.fastai_learner",
}
SHORT_SECONDS = 2.0
SHORT_IMAGES = 1024


@dataclass
class BenchSettings:
    batch_sizes: list[int] = MISSING
    scaling_lanes: list[int] = MISSING
    scaling_batch_sizes: list[int] = MISSING
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
    if not cfg.bench.seconds > 0:
        raise UserError(f"bench.seconds={cfg.bench.seconds} is not valid: give seconds above 0")
    job = resolve(cfg, list(HydraConfig.get().overrides.task), Datasets())
    bench = plain(cfg)["bench"]
    images = {"train": len(job.data.train.labels), "val": len(job.data.val.labels)}
    check_batch_sizes([*bench["batch_sizes"], *bench["scaling_batch_sizes"]], images["train"])

    busy = busy_machine()
    if busy:
        print(f"normbench: {busy}: ratios may be far off; measure again when it is quiet",
              file=sys.stderr)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        images_as_files(job.recipe.source, Path(folder))
        result = _measure_all(job, bench, folder)
    device, precision = job.recipe.device, job.settings["train"]["precision"]
    result |= {
        "config": stable(job.settings) | {"bench": bench},
        "images": images,
        "precision": precision,
        "busy": busy,
        "environment": environment(device, result["threads"]),
    }
    parts = [device, job.settings["model"]["name"], job.settings["norm"]["name"], precision]
    name = "_".join(parts + ["short"] * bench["short"])
    path = job.store.results / "bench" / name
    write_atomically(path.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    text = render(result)
    write_atomically(path.with_suffix(".md"), text)
    print(text)
    print(headline(result))
    print(f"Written to {path}.md and {path}.json")


def _measure_all(job: Job, bench: dict[str, Any], folder: str) -> dict[str, Any]:
    """Every contender at every batch size, one after another."""
    from normbench.bench.measure import Task, measure

    short, auto, threads = bench["short"], job.lanes, job.recipe.threads
    task = Task(
        settings=job.settings,
        source=job.recipe.source,
        images=folder,
        batch_size=0,
        device=job.recipe.device,
        seconds=SHORT_SECONDS if short else float(bench["seconds"]),
        limit=SHORT_IMAGES if short else None,
        threads=threads,
    )
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
        contenders = {}
        for name, module in CONTENDERS.items():
            _say(f"{name}, batch size {batch_size}")
            contenders[name] = measure(module, at)
        for count in sorted({1, auto}):
            contenders[_ours(count)] = lanes(batch_size, count) | {"lanes": count}
        rows.append({"batch_size": batch_size, "ceilings": ceilings, "contenders": contenders})
    return {
        "rows": rows,
        "threads": threads,
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


def _ours(lanes: int) -> str:
    return f"normbench, {lanes} lane{'s' * (lanes > 1)}"


def _say(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)
