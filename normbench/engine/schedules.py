"""Learning-rate schedules as tables: one value a training step, known before the first.

A table can be indexed by a step counter that lives on the device, so a captured step needs no
help from the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """What the optimizer is set to before each step.

    Attributes:
        lr: (steps,) learning rates.
        momentum: (steps,) momenta, or None to leave the optimizer's.
    """

    lr: np.ndarray
    momentum: np.ndarray | None = None


def constant(steps: int, lr: float) -> Schedule:
    """The same learning rate at every step."""
    return Schedule(np.full(steps, lr))


def flat_cosine(steps: int, lr: float, flat: float = 0.75) -> Schedule:
    """``lr`` for the first ``flat`` share of the steps, then half a cosine down to 0.

    Raises:
        ValueError: if flat is outside [0, 1].
    """
    if not 0 <= flat <= 1:
        raise ValueError(f"flat={flat} must lie between 0 and 1")
    progress = np.arange(steps) / max(steps, 1)
    falling = np.clip((progress - flat) / (1 - flat), 0, 1) if flat < 1 else np.zeros(steps)
    return Schedule(lr * (1 + np.cos(np.pi * falling)) / 2)


def one_cycle(
    steps: int,
    lr: float,
    warmup: float = 0.25,
    start: float = 0.04,
    end: float = 1e-5,
    momentum: Sequence[float] | None = None,
) -> Schedule:
    """Half a cosine up to ``lr``, half a cosine down (Smith 2018; the two-phase variant of fastai).

    Args:
        warmup: share of the steps in which the learning rate rises.
        start, end: first and last learning rate, as a share of ``lr``.
        momentum: values at the first step, at the highest learning rate and at the last step.

    Raises:
        ValueError: if warmup is outside [0, 1] or momentum has not three values.
    """
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup={warmup} must lie between 0 and 1")
    if momentum is not None and len(momentum) != 3:
        raise ValueError(f"momentum={list(momentum)} must have three values")

    progress = np.arange(steps) / max(steps - 1, 1)

    def two_phases(first: float, peak: float, last: float) -> np.ndarray:
        rise = np.clip(progress / warmup, 0, 1) if warmup > 0 else np.ones(steps)
        fall = np.clip((progress - warmup) / (1 - warmup), 0, 1) if warmup < 1 else 0 * rise
        rising = first + (peak - first) * (1 - np.cos(np.pi * rise)) / 2
        falling = peak + (last - peak) * (1 - np.cos(np.pi * fall)) / 2
        return np.where(progress < warmup, rising, falling)

    return Schedule(
        lr * two_phases(start, 1.0, end),
        None if momentum is None else two_phases(*momentum),
    )
