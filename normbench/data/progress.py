"""What a user sees while a dataset is prepared."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[int, int, str], object]  # (done, total, what)

QUICK = 1.0  # seconds; a preparation shorter than this is not worth a word


def on_terminal() -> bool:
    """Whether somebody watches who can be shown bars: not a file, and not a notebook's cell, which
    would keep every state of them."""
    return sys.stderr.isatty() and "JPY_PARENT_PID" not in os.environ


@contextmanager
def preparation_progress() -> Iterator[Progress]:
    """A callback (done, total, what): a bar on a terminal, a line elsewhere, nothing if quick."""
    terminal = on_terminal()
    bar: tqdm | None = None
    what_now, since, said = None, 0.0, False

    def show(done: int, total: int, what: str) -> None:
        nonlocal bar, what_now, since, said
        if what != what_now:
            if bar is not None:
                bar.close()
            bar = tqdm(total=total, desc=what, disable=not terminal, leave=False, delay=QUICK)
            what_now, since, said = what, time.monotonic(), False
        bar.update(done - bar.n)
        if not terminal and not said and time.monotonic() - since > QUICK:
            print(f"{what} ({total:,} images)", file=sys.stderr, flush=True)
            said = True

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
