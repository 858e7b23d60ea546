"""From a config to what the engine takes: a device, a precision, a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from normbench.data import load_dataset
from normbench.engine.lanes import Event, Lanes, LocalLane, ProcessLanes, prepare_processes
from normbench.engine.memory import keep_freed_memory
from normbench.engine.schedules import Schedule
from normbench.engine.training import Plan, Result, train
from normbench.environment import available_cores
from normbench.errors import UserError
from normbench.explain import first_line
from normbench.grid import Run
from normbench.models import build_model


def resolve_device(cfg: DictConfig) -> tuple[str, str]:
    """The device (cpu or cuda) and the precision that ``auto`` comes to.

    Raises:
        UserError: for device=cuda without CUDA.
    """
    name = cfg.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch sees no CUDA device here; use device=cpu")
    precision = cfg.train.precision
    if precision == "auto":
        precision = "bf16" if name == "cuda" else "fp32"
    return name, precision


def prepare_lanes(device: str) -> None:
    """Start, in the background, what takes a while before lanes can train."""
    if device == "cpu":
        prepare_processes([__name__])


def check_parts(cfg: DictConfig, num_classes: int) -> None:
    """Build the network, the optimizer and the schedule once, so that what they refuse shows.

    Raises:
        UserError: naming the part.
    """
    network = build_model(*model_and_norm(cfg), num_classes)
    make_optimizer(cfg, list(network.parameters()), lr=0.1)
    _make("schedule", cfg, 10, 0.1)


def plan_of(cfg: DictConfig, run: Run, num_classes: int) -> Plan:
    """What the engine has to know to train a run of this config's grid."""
    model, norm = model_and_norm(cfg)

    def make_schedule(steps: int, lr: float) -> Schedule:
        return _make("schedule", cfg, steps, lr)

    return Plan(
        model=lambda: build_model(model, norm, num_classes),
        optimizer=partial(make_optimizer, cfg),
        schedule=make_schedule,
        batch_size=run.batch_size,
        lr=run.lr,
        seed=run.seed,
        epochs=run.settings["train"]["epochs"],
        precision=run.settings["train"]["precision"],
        mean=tuple(cfg.data.mean),
        std=tuple(cfg.data.std),
    )


def split_cores(engine: DictConfig, runs: int, device: str) -> tuple[int, int]:
    """How many lanes train side by side, and with how many CPU threads each.

    The threads follow from the machine and the whole grid, never from what is still missing: a
    run's last bits may depend on them. One thread a lane is best as long as there are runs for
    every core, since small kernels do not fill more.
    """
    cores = available_cores()
    if device != "cpu":
        return 1, cores if engine.threads == "auto" else engine.threads
    lanes, threads = engine.lanes, engine.threads
    if threads == "auto":
        threads = max(1, cores // (min(runs, cores) if lanes == "auto" else lanes))
    if lanes == "auto":
        lanes = max(1, cores // threads)
    return lanes, threads


def make_lanes(
    cfg: DictConfig,
    device: str,
    lanes: int,
    threads: int,
    report: Callable[[Event], Any],
    limit: int | None = None,
) -> Lanes:
    """What trains the runs of a config.

    Args:
        cfg: a ``run`` config.
        device: cpu or cuda.
        lanes: how many runs side by side.
        threads: CPU threads of each.
        report: called with events that come while a lane in this process trains.
        limit: how many images of each split to use; None for all. For benchmarks.
    """
    config = OmegaConf.to_yaml(cfg, resolve=True)
    train_in_lane = partial(make_train, config, device, threads, limit)
    if device == "cpu":
        return ProcessLanes(lanes, train_in_lane)
    return LocalLane(train_in_lane, report)


def make_train(
    config: str, device: str, threads: int, limit: int | None = None
) -> Callable[[Run, Callable[[int], Any]], Result]:
    """What a lane trains runs with.

    Args:
        config: a ``run`` config as YAML, so that a lane's process can be given it.
        device: where to train.
        threads: CPU threads to train with.
        limit: how many images of each split to use; None for all.
    """
    cfg = OmegaConf.create(config)
    if device == "cpu":
        keep_freed_memory()
    torch.set_num_threads(threads)
    data = load_dataset(cfg.data)
    if limit:
        data = data.first(limit)
    classes, data = len(data.classes), data.to(device)

    def train_run(run: Run, report: Callable[[int], Any]) -> Result:
        return train(plan_of(cfg, run, classes), data, torch.device(device), report)

    return train_run


def model_and_norm(cfg: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both configs, resolved, as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    return plain["model"], plain["norm"]


def make_optimizer(cfg: DictConfig, params: Iterable[Any], lr: float) -> torch.optim.Optimizer:
    """The optimizer of a config, for some parameters."""
    return _make("optimizer", cfg, params, lr=lr)


def _make(part: str, cfg: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """Instantiate a config group that also has a name."""
    settings = OmegaConf.to_container(cfg[part], resolve=True)
    name = settings.pop("name")
    try:
        return instantiate(settings, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(f"{part}={name}: {first_line(cause)}") from error
