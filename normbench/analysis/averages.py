"""Averages over steps, layers and seeds, where some numbers may be missing (NaN)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def array(nested: Any) -> np.ndarray:
    """Nested lists of a record as floats, None as NaN."""
    return np.array(nested, dtype=float)


def mean(values: Any, axis: int | None = None) -> Any:
    """The mean of what is not NaN; NaN where nothing is."""
    return _quietly(np.nanmean, values, axis)


def geometric_mean(values: Any, axis: int | None = None) -> Any:
    """The geometric mean of what is not NaN; 0 if a value is 0."""
    with np.errstate(divide="ignore"):
        return np.exp(mean(np.log(np.asarray(values, dtype=float)), axis))


def lowest(values: np.ndarray, axis: int | None = None) -> Any:
    return _quietly(np.nanmin, values, axis)


def highest(values: np.ndarray, axis: int | None = None) -> Any:
    return _quietly(np.nanmax, values, axis)


def stack(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (T, ...) of runs as one (runs, longest T, ...): a run that ended early has NaN."""
    length = max(len(run) for run in runs)
    pad = [(0, 0)] * (runs[0].ndim - 1)
    return np.stack(
        [np.pad(run, [(0, length - len(run)), *pad], constant_values=np.nan) for run in runs]
    )


def _quietly(function: Any, values: Any, axis: int | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that nothing but NaN has no mean
        return function(np.asarray(values, dtype=float), axis=axis)
