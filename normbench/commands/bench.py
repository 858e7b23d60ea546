"""``normbench bench``: measures speed against what people would otherwise use."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normbench import assemble
from normbench.bench.images import images_as_files
from normbench.bench.measure import Task, measure
from normbench.config import check_batch_sizes, check_count, check_training, drop_replaced_settings
from normbench.data import load_dataset
from normbench.environment import environment
from normbench.errors import UserError
from normbench.progress import preparation_progress
from normbench.records import RecordStore, write_atomically
from normbench.report.bench import headline, render

CONTENDERS = {
    "plain": "normbench.bench.plain",
    "fastai": "normbench.bench.fastai_learner",
}
SHORT_SECONDS = 2.0
SHORT_IMAGES = 1024


def main(cfg: DictConfig) -> None:
    check_training(cfg)
    drop_replaced_settings(cfg, list(HydraConfig.get().overrides.task))
    for name in ("batch_sizes", "scaling_lanes", "scaling_batch_sizes"):
        for value in cfg.bench[name]:
            check_count(f"bench.{name}", value, auto=False)
    if not cfg.bench.seconds > 0:
        raise UserError(f"bench.seconds={cfg.bench.seconds} is not valid: give seconds above 0")
    device, precision = assemble.resolve_device(cfg)
    with preparation_progress() as progress:
        data = load_dataset(cfg.data, progress)
    assemble.check_parts(cfg, len(data.classes))
    images = len(data.train.labels)
    check_batch_sizes([*cfg.bench.batch_sizes, *cfg.bench.scaling_batch_sizes], images)
    RecordStore(Path(cfg.results.dir)).make_writable()

    with tempfile.TemporaryDirectory() as folder:
        images_as_files(cfg.data, Path(folder))
        result = _measure_all(cfg, device, precision, folder)
    result |= {
        "config": OmegaConf.to_container(cfg, resolve=True)
        | {"data": {k: v for k, v in cfg.data.items() if k in ("name", "image_size", "fit")}},
        "images": {"train": images, "val": len(data.val.labels)},
        "precision": precision,
        "environment": environment(device, result["threads"]),
    }
    del result["config"]["results"]
    name = f"{device}_{cfg.model.name}_{cfg.norm.name}_{precision}"
    name += "_short" if cfg.bench.short else ""
    path = Path(cfg.results.dir) / "bench" / name
    write_atomically(path.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    text = render(result)
    write_atomically(path.with_suffix(".md"), text)
    print(text)
    print(headline(result))
    print(f"Written to {path}.md and {path}.json")


def _measure_all(cfg: DictConfig, device: str, precision: str, folder: str) -> dict[str, Any]:
    """Every contender at every batch size, one after another."""
    short = cfg.bench.short
    auto, threads = assemble.split_cores(cfg.engine, sys.maxsize, device)
    task = Task(
        config=OmegaConf.to_yaml(cfg, resolve=True),
        images=folder,
        batch_size=0,
        device=device,
        precision=precision,
        seconds=SHORT_SECONDS if short else float(cfg.bench.seconds),
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
    for batch_size in cfg.bench.batch_sizes:
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
            for batch_size in cfg.bench.batch_sizes
            for count in cfg.bench.scaling_lanes
            if not short
        ],
        "by_batch_size": [
            {"batch_size": batch_size, "lanes": auto, **lanes(batch_size, auto)}
            for batch_size in cfg.bench.scaling_batch_sizes
            if not short
        ],
    }


def _ours(lanes: int) -> str:
    return f"normbench, {lanes} lane{'s' * (lanes > 1)}"


def _say(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)
