"""Ctrl-C, and a request to terminate.

While there is something to leave in order (``in_order``), the first raises KeyboardInterrupt, a
second is too impatient and does nothing, a third ends everything at once. At other times, such as
while modules are imported, there is nothing to leave, and a KeyboardInterrupt could get lost there:
the first ends the command.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

EXIT_CODE = 130

_in_order = False
_count = 0


def install() -> None:
    """Have the signals of this process handled so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _handle)


@contextmanager
def in_order() -> Iterator[None]:
    """Inside, there is something to leave in order."""
    global _in_order
    before, _in_order = _in_order, True
    try:
        yield
    finally:
        _in_order = before


def leave() -> NoReturn:
    """Say what an interruption means, and end.

    Without the interpreter's own last rites, which a thread that imports can upset.
    """
    with suppress(OSError, ValueError):
        print(
            "\ninterrupted: finished runs are kept; the same command goes on from there",
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_CODE)


def _handle(number: int, frame: FrameType | None) -> None:
    global _count
    _count += 1
    if not _in_order or _count > 2:
        leave()
    if _count == 1:
        raise KeyboardInterrupt
