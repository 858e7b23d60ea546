"""The schema that every config is checked against. Commands have theirs in their own files.

Nothing here imports torch: ``--help``, shell completion and ``table`` stay quick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from normbench.analysis.reference import article_norms
from normbench.environment import available_cores

AXES = ("batch_size", "lr", "seeds")
SPLITS = {"none": (), "batch_size": AXES[:1], "cell": AXES[:2], "run": AXES}  # axes that are cut

PUBLISHED = "PUBLISHED.md"  # marks a results folder that is not the user's own

MOST_CORES = 8  # of a job that a launcher is asked for; more jobs find their place sooner
BYTES_A_PIXEL = 600  # that training a ResNet18 keeps for the backward pass


@dataclass
class NormConfig:
    name: str = MISSING
    layer: dict[str, Any] = MISSING
    # Each of these is empty where a norm has none.
    weight: dict[str, Any] = field(default_factory=dict)
    activation: dict[str, Any] = field(default_factory=dict)
    init: dict[str, Any] = field(default_factory=dict)
    convolution: dict[str, Any] = field(default_factory=dict)
    clip: dict[str, Any] = field(default_factory=dict)


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
    held_out: float = 0.0  # share of the training set that takes the validation split's place
    limit: int | None = None  # images of each split, for quick tries; None: all
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
    save_weights: bool = False


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
class GridJobConfig(JobConfig):
    """What commands have in common that train a grid."""

    grid: SplitGridConfig = field(default_factory=SplitGridConfig)
    force: bool = False
    tracker: dict[str, Any] = field(default_factory=dict)


@dataclass
class TuningConfig:
    """How ``tune=N`` chooses settings."""

    lr: list[float] = MISSING
    weight_decay: list[float] | None = None
    seeds: list[int] = MISSING
    held_out: float = MISSING


@dataclass
class StoredConfig:
    """For commands that look at a results folder alone."""

    results: ResultsConfig = field(default_factory=ResultsConfig)


@dataclass
class ArticleConfig:
    """For commands that look for the article's cells under one protocol."""

    models: dict[str, Any] = MISSING
    norms: dict[str, Any] = MISSING
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: dict[str, Any] = MISSING
    schedule: dict[str, Any] = MISSING
    train: TrainConfig = field(default_factory=TrainConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    results: ResultsConfig = field(default_factory=ResultsConfig)


def register_resolvers() -> None:
    """Make known what configs refer to: ``${job_resource:…}``, what a launcher has to ask for,
    ``${article_norms:}``, the norms to sweep over, and ``${results_folder:}``."""
    OmegaConf.register_new_resolver("results_folder", _results_folder, replace=True)
    OmegaConf.register_new_resolver("job_resource", _job_resource, replace=True)
    OmegaConf.register_new_resolver(
        "article_norms", lambda: ",".join(article_norms()), replace=True
    )


def _results_folder() -> str:
    """Where results go by default: not among those that were published with the project."""
    return "results/own" if Path("results", PUBLISHED).is_file() else "results"


def _job_resource(what: str, *, _root_: DictConfig) -> int | None:
    """What one of a sweep's jobs needs: cores, memory (GB), gpus, and how many jobs fit here."""
    grid, engine = _root_.grid, _root_.engine
    runs = math.prod(len(grid[axis]) for axis in AXES if axis not in SPLITS.get(grid.split, ()))
    unresolved: Any = OmegaConf.to_container(engine, resolve=False)
    typed = unresolved.get("cores")
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
