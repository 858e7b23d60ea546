"""Whether replays of a graph are the steps that they stand for.

A layer may do something in Python that no graph holds: count, draw from Python's random numbers,
put a new tensor in an attribute. Its graphs would be captured without a complaint, and would repeat
for ever what was true once.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normbench.engine.capturable import NotCapturable
from normbench.engine.state import state_of
from normbench.engine.training import Training

# Where a device adds up in no fixed order, the host's own steps differ in their last bits each time
# they are taken. Replays may then be apart from them so many times as far as they from each other.
TIMES = 100


def check_replays(steps: Callable[[], Training], replays: Callable[[], Training]) -> None:
    """Take the same steps by the host and by replays, and compare bit for bit.

    Args:
        steps: takes them by the host; returns the run that took them.
        replays: takes them by replays, from the same state; returns the run that took them.

    Raises:
        NotCapturable: if they differ, with what does.
    """
    drawn = _random_numbers()
    expected = _outcome(steps)
    if _random_numbers() != drawn:
        raise NotCapturable("it draws from Python's or NumPy's random numbers, not from torch's")
    replayed = _outcome(replays)
    differing = list(_differences(expected, replayed))
    if not differing:
        return
    repeated = _outcome(steps)
    wavers = _distance(expected, repeated)
    if all(isinstance(value, Tensor) for _, value in differing) and (
        _distance(expected, replayed) <= TIMES * wavers
    ):
        return
    # what a layer keeps is more of a reason than the weights that suffered from it
    paths = [path for path, _ in differing]
    kept = [path for path in paths if "attributes" in path] or [p for p in paths if "buffers" in p]
    raise NotCapturable(
        f"replays are not the steps that they stand for, as {'.'.join((kept or paths)[0])} shows"
    )


def _outcome(go: Callable[[], Training]) -> dict[str, Any]:
    state = state_of(go())
    del state["optimizer"]["attributes"]  # what torch notes of its own checks
    return copy.deepcopy(state)


def _random_numbers() -> tuple[Any, ...]:
    return random.getstate(), pickle.dumps(np.random.get_state())


def _differences(
    one: Any, other: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths at which two states differ, and what the first has there."""
    if type(one) is type(other) and isinstance(one, dict | list | tuple):
        first, second = _parts(one), _parts(other)
        for name in first | second:
            yield from _differences(first.get(name), second.get(name), (*path, str(name)))
    elif not _same(one, other):
        yield path, one


def _parts(tree: Any) -> dict[Any, Any]:
    return tree if isinstance(tree, dict) else dict(enumerate(tree))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            return False
        return bool(((one == other) | (one.isnan() & other.isnan())).all())
    return type(one) is type(other) and bool(one == other)


def _distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The Euclidean distance of all parameters of two states."""
    pairs = zip(one["parameters"], other["parameters"], strict=True)
    squares = [(a.double() - b.double()).square().sum() for a, b in pairs]
    return float(torch.stack(squares).sum().sqrt())
