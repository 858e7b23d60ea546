"""What can be told wrong in a config without torch or data, each in one line of a UserError."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from omegaconf import DictConfig

from normbench.config import AXES, SPLITS
from normbench.errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CHECKPOINTS = ("auto", "always", "never")
DEVICES = ("auto", "cpu", "cuda")
AUGMENTATIONS = ("none", "flip", "crop")

SEEDS = 2**63  # generators take no larger ones
EXAMPLES = {"batch_size": "[128,2]", "lr": "[0.01,0.001]", "seeds": "[0,1,2]"}


def check_training(cfg: DictConfig) -> None:
    """Raise UserError for what is wrong with the settings of any training (a ``JobConfig``)."""
    check_train(cfg.train)
    check_choice("train.checkpoint", cfg.train.checkpoint, CHECKPOINTS)
    check_choice("device", cfg.device, DEVICES)
    check_choice("data.augment", cfg.data.augment, AUGMENTATIONS)
    check_count("engine.lanes", cfg.engine.lanes)
    check_count("engine.threads", cfg.engine.threads)
    check_count("engine.cores", cfg.engine.cores)
    check_folder("results.dir", cfg.results.dir)
    check_data(cfg.data)
    for part in ("model", "norm", "optimizer", "schedule"):
        name = cfg[part].get("name")
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{part}.name is empty: give the {part} a name for records and tables")


def check_overruled(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Raise UserError for a momentum that was typed and that the schedule sets at every step."""
    momentum = cfg.schedule.get("momentum")
    typed = {override.lstrip("+").split("=", 1)[0] for override in overrides}
    if momentum is None:
        return
    for setting in ("momentum", "betas"):
        if f"optimizer.{setting}" not in typed or setting not in cfg.optimizer:
            continue
        value = cfg.optimizer[setting]
        own = value[0] if setting == "betas" else value
        if own != momentum[0]:
            first = "its first number " if setting == "betas" else ""
            raise UserError(
                f"optimizer.{setting}={value}: {first}has no effect, as schedule.momentum="
                f"{list(momentum)} sets it at every step: give schedule.momentum=null, or leave it"
            )


def check_folder(name: str, value: str | None, unset: str = "") -> None:
    """Raise UserError for the empty name of a folder."""
    if value is not None and not value.strip():
        raise UserError(f"{name} is empty: name a folder{unset}")


def check_train(train: DictConfig) -> None:
    """Raise UserError for a number of epochs or a precision that makes no sense."""
    if train.epochs < 1:
        raise UserError(f"train.epochs={train.epochs} is not valid: train at least 1 epoch")
    check_choice("train.precision", train.precision, PRECISIONS)


def check_grid(grid: DictConfig) -> None:
    """Raise UserError unless every axis of the grid has values, each valid, none twice."""
    for axis, low, remedy in (
        ("batch_size", 1, "whole numbers from 1"),
        ("lr", None, "positive numbers"),
        ("seeds", 0, f"whole numbers from 0, below {SEEDS}"),
    ):
        values = list(grid[axis])
        if not values:
            raise UserError(f"grid.{axis} is empty: give {remedy}, such as {EXAMPLES[axis]}")
        for value in values:
            valid = (value > 0 and math.isfinite(value)) if low is None else value >= low
            valid = valid and not (axis == "seeds" and value >= SEEDS)
            if not valid:
                raise UserError(f"grid.{axis}={value} is not valid: give {remedy}")
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise UserError(f"grid.{axis} has {twice[0]} more than once: name each value once")


def check_tuning(cfg: DictConfig) -> None:
    """Raise UserError for a way to tune (``tune`` and ``tuning``) that makes no sense."""
    tuning = cfg.tuning
    if cfg.tune < 0:
        raise UserError(f"tune={cfg.tune} is not valid: give how many learning rates to try")
    for name in ("lr", "weight_decay"):
        ends = tuning[name]
        valid = ends is None and name != "lr"
        if not valid and not (ends and len(ends) == 2 and 0 < ends[0] < ends[1] < math.inf):
            raise UserError(
                f"tuning.{name}={ends} is not valid: give the lowest and the highest, two rising "
                "positive numbers"
            )
    if not tuning.seeds or not all(0 <= seed < SEEDS for seed in tuning.seeds):
        raise UserError(f"tuning.seeds={tuning.seeds} is not valid: give whole numbers from 0")
    if not 0 < tuning.held_out < 1:
        raise UserError(
            f"tuning.held_out={tuning.held_out} is not valid: give a share of the training set, "
            "above 0 and below 1"
        )


def check_tuned_grid(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Raise UserError for a grid that cannot be tuned, or an optimizer that lacks what is tuned."""
    if any(override.lstrip("+").startswith("grid.lr=") for override in overrides):
        raise UserError(
            f"grid.lr has no effect with tune={cfg.tune}: learning rates are drawn from "
            "tuning.lr=[LOWEST,HIGHEST]"
        )
    if cfg.grid.split not in ("none", "batch_size"):
        raise UserError(
            f"grid.split={cfg.grid.split} does not go with tune={cfg.tune}, as its runs wait for "
            "each other: choose none or batch_size"
        )
    if cfg.data.held_out:
        raise UserError(
            f"data.held_out={cfg.data.held_out} does not go with tune={cfg.tune}, which holds out "
            "tuning.held_out for the runs that choose: leave one of them"
        )
    if both := sorted({*cfg.tuning.seeds} & {*cfg.grid.seeds}):
        raise UserError(
            f"tuning.seeds and grid.seeds both have {both[0]}: runs are not reported on seeds that "
            "chose for them"
        )
    if cfg.tuning.weight_decay and "weight_decay" not in cfg.optimizer:
        raise UserError(
            f"tuning.weight_decay: optimizer={cfg.optimizer.name} has no weight_decay to choose"
        )


def check_data(data: DictConfig) -> None:
    """Raise UserError for folders without a name."""
    check_folder("data.root", data.root, ", or leave it, and NORMBENCH_DATA, unset")
    check_folder("data.cache", data.cache, ", or leave it, and NORMBENCH_CACHE, unset")


def check_split(grid: DictConfig) -> None:
    """Raise UserError unless a grid is cut in a way that there is, and its part is one of it."""
    check_choice("grid.split", grid.split, SPLITS)
    for axis in AXES:
        if not set(grid.part[axis] or []) <= set(grid[axis]):
            raise UserError(f"grid.part.{axis}={grid.part[axis]} is not part of grid.{axis}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise UserError unless a setting's value is one of its choices."""
    if value not in choices:
        raise UserError(f"{name}={value} is not known: choose {', '.join(choices)}")


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
