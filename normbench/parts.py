"""From settings, which are plain values, to what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from normbench.engine.schedules import Schedule
from normbench.engine.training import Plan
from normbench.grid import Run
from normbench.instantiate import instantiate
from normbench.models.build import build_model
from normbench.norms import AdaptiveGradientClipping
from normbench.probes.probe import Probe
from normbench.trackers.tracked import Tracker


def make_optimizer(
    settings: Mapping[str, Any], params: Iterable[Any], lr: float, **more: Any
) -> torch.optim.Optimizer:
    """The optimizer of such a config, for some parameters, with more settings over its own."""
    return _make("optimizer", settings, params, lr=lr, **more)


def make_schedule(settings: Mapping[str, Any], steps: int, lr: float) -> Schedule:
    return _make("schedule", settings, steps, lr)


def make_probe(settings: Mapping[str, Any]) -> Probe:
    return _make("probe", settings)


def make_tracker(settings: Mapping[str, Any]) -> Tracker | None:
    """What runs are to be told to; None without settings."""
    return _make("tracker", settings) if settings else None


def channels_of(settings: Mapping[str, Any]) -> int:
    """How many channels images have: there is a mean for each."""
    return len(settings["data"]["mean"])


def make_clip(settings: Mapping[str, Any], model: nn.Module) -> AdaptiveGradientClipping | None:
    """What a norm of such settings clips a model's gradients with, if it does."""
    if not settings.get("clip"):
        return None
    own = {**settings["clip"], "_partial_": False}
    return instantiate(f"norm={settings['name']}", own, model)


def plan_of(run: Run, num_classes: int) -> Plan:
    """What the engine has to know to train a run."""
    settings = run.settings
    return Plan(
        model=partial(
            build_model, settings["model"], settings["norm"], num_classes, channels_of(settings)
        ),
        optimizer=partial(make_optimizer, settings["optimizer"]),
        schedule=partial(make_schedule, settings["schedule"]),
        batch_size=run.batch_size,
        lr=run.lr,
        seed=run.seed,
        epochs=settings["train"]["epochs"],
        precision=settings["train"]["precision"],
        mean=tuple(settings["data"]["mean"]),
        std=tuple(settings["data"]["std"]),
        augment=settings["data"]["augment"],
        clip=partial(make_clip, settings["norm"]),
    )


def _make(part: str, settings: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Instantiate the settings of a config group that also has a name."""
    own = {key: value for key, value in settings.items() if key != "name"}
    return instantiate(f"{part}={settings['name']}", own, *args, **kwargs)
