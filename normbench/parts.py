"""From settings, which are plain values, to what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from normbench.engine.schedules import Schedule
from normbench.engine.training import Plan
from normbench.errors import UserError
from normbench.explain import first_line
from normbench.grid import Run
from normbench.models.build import build_model
from normbench.probes.probe import Probe
from normbench.settings import Settings


def make_optimizer(
    settings: Mapping[str, Any], params: Iterable[Any], lr: float, **more: Any
) -> torch.optim.Optimizer:
    """The optimizer of such a config, for some parameters, with more settings over its own."""
    return _make("optimizer", settings, params, lr=lr, **more)


def make_schedule(settings: Mapping[str, Any], steps: int, lr: float) -> Schedule:
    return _make("schedule", settings, steps, lr)


def make_probe(settings: Mapping[str, Any]) -> Probe:
    return _make("probe", settings)


def plan_of(run: Run, num_classes: int) -> Plan:
    """What the engine has to know to train a run."""
    settings = run.settings
    return Plan(
        model=partial(build_model, settings["model"], settings["norm"], num_classes),
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
    )


def check_parts(settings: Settings, num_classes: int, steps: Iterable[int] = ()) -> None:
    """Build every part once, so that what they refuse shows before anything trains.

    Args:
        settings: of the runs.
        num_classes: of the data.
        steps: how many steps runs take, for a probe that has to fit them.

    Raises:
        UserError: naming the part.
    """
    network = build_model(settings["model"], settings["norm"], num_classes)
    make_optimizer(settings["optimizer"], list(network.parameters()), lr=0.1)
    make_schedule(settings["schedule"], 10, 0.1)
    if "probe" in settings:
        probe = make_probe(settings["probe"])
        for count in steps:
            probe.check(network, count)


def _make(part: str, settings: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Instantiate the settings of a config group that also has a name."""
    own = {key: value for key, value in settings.items() if key != "name"}
    try:
        return instantiate(own, *args, **kwargs, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        raise UserError(f"{part}={settings['name']}: {first_line(cause)}") from error
