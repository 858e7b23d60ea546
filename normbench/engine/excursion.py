"""Leaving a run's path: whatever is done with it meanwhile, it goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from normbench.engine.state import Snapshot
from normbench.engine.training import Training


@contextmanager
def excursion(training: Training) -> Iterator[None]:
    """A run's state, as ``state`` knows it, and gradients are at the end what they were before.

    Inside, gradients start from none.
    """
    before = Snapshot(training)
    for p in training.model.parameters():
        p.grad = None
    try:
        yield
    finally:
        before.restore()
