"""The schema that every config is checked against, what its values must satisfy, and a run's key.

Nothing here imports torch: ``--help``, shell completion and ``table`` stay quick.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from normbench.environment import available_cores
from normbench.errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CHECKPOINTS = ("auto", "always", "never")
DEVICES = ("auto", "cpu", "cuda")
AXES = ("batch_size", "lr", "seeds")
SPLITS = {"none": (), "batch_size": AXES[:1], "cell": AXES[:2], "run": AXES}  # axes that are cut
AUGMENTATIONS = ("none", "flip", "crop")

# Nodes that Hydra instantiates. Their settings are arguments of their `_target_`.
INSTANTIATED = (
    "model", "norm.layer", "norm.weight", "data.source", "optimizer", "schedule", "probe",
)  # fmt: skip

MOST_CORES = 8  # of a job that a launcher is asked for; more jobs find their place sooner
BYTES_A_PIXEL = 600  # that training a ResNet18 keeps for the backward pass


@dataclass
class NormConfig:
    name: str = MISSING
    layer: dict[str, Any] = MISSING
    weight: dict[str, Any] | None = None


@dataclass
class DataConfig:
    name: str = MISSING
    source: dict[str, Any] = MISSING
    root: str | None = None
    cache: str | None = None
    download: bool = True
    image_size: int = MISSING
    fit: str = MISSING
    augment: str = "none"
    mean: list[float] = MISSING
    std: list[float] = MISSING


@dataclass
class GridPart:
    """The values that a job of a split grid has to do with; None for all."""

    batch_size: list[int] | None = None
    lr: list[float] | None = None
    seeds: list[int] | None = None


@dataclass
class GridConfig:
    batch_size: list[int] = MISSING
    lr: list[float] = MISSING
    seeds: list[int] = MISSING


@dataclass
class SplitGridConfig(GridConfig):
    split: str = "none"
    part: GridPart = field(default_factory=GridPart)


@dataclass
class TrainConfig:
    epochs: int = MISSING
    precision: str = MISSING


@dataclass
class JobTrainConfig(TrainConfig):
    checkpoint: str = "never"


@dataclass
class EngineConfig:
    lanes: Any = "auto"
    threads: Any = "auto"
    cores: Any = "auto"


@dataclass
class ResultsConfig:
    dir: str = MISSING


@dataclass
class JobConfig:
    """What every command that trains has in common."""

    model: dict[str, Any] = MISSING
    norm: NormConfig = field(default_factory=NormConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: dict[str, Any] = MISSING
    schedule: dict[str, Any] = MISSING
    train: JobTrainConfig = field(default_factory=JobTrainConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    device: str = "auto"
    results: ResultsConfig = field(default_factory=ResultsConfig)


@dataclass
class RunConfig(JobConfig):
    grid: SplitGridConfig = field(default_factory=SplitGridConfig)
    force: bool = False


@dataclass
class ProbeConfig(RunConfig):
    probe: dict[str, Any] = MISSING


@dataclass
class BenchSettings:
    batch_sizes: list[int] = MISSING
    scaling_lanes: list[int] = MISSING
    scaling_batch_sizes: list[int] = MISSING
    seconds: float = MISSING
    short: bool = False


@dataclass
class BenchConfig(JobConfig):
    bench: BenchSettings = field(default_factory=BenchSettings)


@dataclass
class TableConfig:
    results: ResultsConfig = field(default_factory=ResultsConfig)


@dataclass
class StatusConfig:
    results: ResultsConfig = field(default_factory=ResultsConfig)


@dataclass
class ArticleConfig:
    """The article's cells under one protocol: what compare and claims look for."""

    models: dict[str, Any] = MISSING
    norms: dict[str, Any] = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: dict[str, Any] = MISSING
    schedule: dict[str, Any] = MISSING
    train: TrainConfig = field(default_factory=TrainConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    results: ResultsConfig = field(default_factory=ResultsConfig)


@dataclass
class DataCommandConfig:
    data: DataConfig = field(default_factory=DataConfig)


def register_schema() -> None:
    """Make the schema known to Hydra; configs name it first in their defaults lists.

    And ``${job_resource:…}``, which says what a launcher has to ask for.
    """
    OmegaConf.register_new_resolver("job_resource", _job_resource, replace=True)
    store = ConfigStore.instance()
    for command, schema in {
        "run": RunConfig,
        "table": TableConfig,
        "status": StatusConfig,
        "probe": ProbeConfig,
        "data": DataCommandConfig,
        "bench": BenchConfig,
        "article": ArticleConfig,
    }.items():
        store.store(name=f"{command}_schema", node=schema)


def _job_resource(what: str, *, _root_: DictConfig) -> int | None:
    """What one of a sweep's jobs needs: cores, memory (GB), gpus, and how many jobs fit here."""
    grid, engine = _root_.grid, _root_.engine
    runs = math.prod(len(grid[axis]) for axis in AXES if axis not in SPLITS.get(grid.split, ()))
    typed = OmegaConf.to_container(engine, resolve=False).get("cores")
    cores = typed if isinstance(typed, int) else min(runs, MOST_CORES)
    if what == "cores":
        return cores
    if what == "cores_here":
        return min(cores, available_cores())
    if what == "gpus":
        return 1 if _root_.device == "cuda" else None
    if what == "jobs":
        return max(1, available_cores() // min(cores, available_cores()))
    pixels = max(grid.batch_size) * _root_.data.image_size**2
    return math.ceil(2 + cores * (1 + BYTES_A_PIXEL * pixels / 1e9))


def drop_replaced_settings(cfg: DictConfig, overrides: list[str]) -> None:
    """Forget settings whose ``_target_`` the user replaced: they are the old target's arguments.

    Args:
        cfg: a composed config; changed in place.
        overrides: what the user typed, such as ``["norm.layer._target_=mine.MyNorm"]``.
    """
    typed = {override.lstrip("+~").split("=", 1)[0] for override in overrides}
    for node in INSTANTIATED:
        if f"{node}._target_" not in typed:
            continue
        settings = OmegaConf.select(cfg, node)
        for key in list(settings):
            keep = key in ("_target_", "_partial_", "name") or f"{node}.{key}" in typed
            if not keep:
                OmegaConf.set_struct(settings, False)
                del settings[key]


def check_grid(grid: GridConfig) -> None:
    """Raise UserError unless every axis of the grid has values, each valid, none twice."""
    for axis, low, remedy in (
        ("batch_size", 1, "whole numbers from 1"),
        ("lr", None, "positive numbers"),
        ("seeds", 0, "whole numbers from 0"),
    ):
        values = list(grid[axis])
        if not values:
            raise UserError(f"grid.{axis} is empty: give {remedy}, such as {_example(axis)}")
        for value in values:
            valid = (value > 0 and math.isfinite(value)) if low is None else value >= low
            if not valid:
                raise UserError(f"grid.{axis}={value} is not valid: give {remedy}")
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise UserError(f"grid.{axis} has {twice[0]} more than once: name each value once")


def check_split(grid: SplitGridConfig) -> None:
    """Raise UserError unless a grid is cut in a way that there is, and its part is one of it."""
    if grid.split not in SPLITS:
        raise UserError(f"grid.split={grid.split} is not known: choose {', '.join(SPLITS)}")
    for axis in AXES:
        if not set(grid.part[axis] or []) <= set(grid[axis]):
            raise UserError(f"grid.part.{axis}={grid.part[axis]} is not part of grid.{axis}")


def _example(axis: str) -> str:
    return {"batch_size": "[128,2]", "lr": "[0.01,0.001]", "seeds": "[0,1,2]"}[axis]


def check_run(cfg: DictConfig) -> None:
    """Raise UserError for whatever can be told wrong in a ``run`` config without torch or data."""
    check_grid(cfg.grid)
    check_split(cfg.grid)
    check_training(cfg)


def check_train(train: TrainConfig) -> None:
    """Raise UserError for a number of epochs or a precision that makes no sense."""
    if train.epochs < 1:
        raise UserError(f"train.epochs={train.epochs} is not valid: train at least 1 epoch")
    if train.precision not in PRECISIONS:
        raise UserError(
            f"train.precision={train.precision} is not known: choose {', '.join(PRECISIONS)}"
        )


def check_training(cfg: DictConfig) -> None:
    """Raise UserError for what is wrong with the settings of any training."""
    check_train(cfg.train)
    if cfg.train.checkpoint not in CHECKPOINTS:
        raise UserError(
            f"train.checkpoint={cfg.train.checkpoint} is not known: choose {', '.join(CHECKPOINTS)}"
        )
    if cfg.device not in DEVICES:
        raise UserError(f"device={cfg.device} is not known: choose {', '.join(DEVICES)}")
    if cfg.data.augment not in AUGMENTATIONS:
        raise UserError(
            f"data.augment={cfg.data.augment} is not known: choose {', '.join(AUGMENTATIONS)}"
        )
    check_count("engine.lanes", cfg.engine.lanes)
    check_count("engine.threads", cfg.engine.threads)
    check_count("engine.cores", cfg.engine.cores)
    if not cfg.norm.name or not cfg.norm.name.strip():
        raise UserError("norm.name is empty: give the norm a name for records and tables")


def check_count(name: str, value: Any, auto: bool = True) -> None:
    """Raise UserError unless value is a whole number from 1 or, where that is meant, ``auto``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (auto and value == "auto") and not (whole and value >= 1):
        what = "auto or a whole number from 1" if auto else "whole numbers from 1"
        raise UserError(f"{name}={value} is not valid: give {what}")


def check_batch_sizes(batch_sizes: Iterable[int], images: int) -> None:
    """Raise UserError for a batch size that a training set of so many images cannot fill."""
    for batch_size in batch_sizes:
        if batch_size > images:
            raise UserError(
                f"batch size {batch_size} is larger than the training set ({images} images): "
                "choose a smaller one"
            )


def outcome_settings(cfg: DictConfig, precision: str, identity: str | None) -> dict[str, Any]:
    """Exactly the settings that can change what a run computes, resolved, as plain values.

    Args:
        cfg: a ``run`` config.
        precision: what ``train.precision`` came to: fp32, bf16 or fp16.
        identity: tells datasets apart that share their settings (``Dataset.identity``).
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    data = {k: v for k, v in plain["data"].items() if k not in ("root", "cache", "download")}
    return {
        "data": data | ({"identity": identity} if identity else {}),
        "model": plain["model"],
        "norm": plain["norm"],
        "optimizer": plain["optimizer"],
        "schedule": plain["schedule"],
        "train": {"epochs": plain["train"]["epochs"], "precision": precision},
    }


def article_settings(cfg: DictConfig) -> dict[tuple[str, str], dict[str, Any]]:
    """(model, norm) -> the outcome settings of a run, for all that the article covers.

    Args:
        cfg: an ``ArticleConfig``.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    return {
        (model["name"], norm["name"]): outcome_settings(
            OmegaConf.create(plain | {"model": model, "norm": norm}),
            plain["train"]["precision"],
            identity=None,
        )
        for model in plain["models"].values()
        for norm in plain["norms"].values()
    }


@cache
def default_probes() -> dict[str, dict[str, Any]]:
    """The outcome settings that normbench's own probes set, by the probe's name: its own, and an
    optimizer or a schedule that its config chooses."""
    folder = files("normbench.configs")

    def read(group: str, option: str) -> DictConfig:
        return OmegaConf.create((folder / group / f"{option}.yaml").read_text(encoding="utf-8"))

    found = {}
    for file in (folder / "probe").iterdir():
        config = read("probe", file.name.removesuffix(".yaml"))
        chosen = {k: v for choice in config.get("defaults", ()) for k, v in choice.items()}
        groups = {key.removeprefix("override /"): option for key, option in chosen.items()}
        settings = {group: read(group, option) for group, option in groups.items()}
        found[config.probe.name] = OmegaConf.to_container(
            OmegaConf.create(settings | {"probe": config.probe})
        )
    return found


def probed_settings(settings: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A run's outcome settings where a probe measures it.

    Args:
        settings: of the run.
        own: what the probe sets of them; may refer to the run's, such as ``${model}``.
    """
    whole = settings | own
    refers = OmegaConf.create({"model": whole["model"], "probe": whole["probe"]})
    return whole | {"probe": OmegaConf.to_container(refers, resolve=True)["probe"]}


def run_key(settings: dict[str, Any], batch_size: int, lr: float, seed: int) -> str:
    """The name of a run: 16 hexadecimal digits that depend on its outcome settings alone."""
    whole = {"settings": settings, "batch_size": batch_size, "lr": lr, "seed": seed}
    text = json.dumps(whole, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
