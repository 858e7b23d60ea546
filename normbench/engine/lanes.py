"""Lanes: tasks that train side by side, each without a trace of the others.

Both kinds of lanes are driven in the same way: ``start`` a task while one is ``idle``, then
``wait`` for events. A lane that is a process of its own takes only its task along when it dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Protocol

from normbench.errors import UserError
from normbench.explain import place_of

# Seconds between attempts at a process: a server that was killed is not gone at once.
PAUSES = (0.1, 0.5, 2.0)

Report = Callable[[int], None]
Train = Callable[[Any, Report], Any]  # trains a task, reporting steps done, and returns the result


@dataclass(frozen=True)
class Event:
    """Something that happened to a task: it advanced by steps, or ended with a result or an error.

    Attributes:
        task: which.
        steps: how many it took since its last event.
        result: what it came to.
        error: what ended it, in one line.
        details: the traceback, if there is one.
        notice: what a user may want to know of a task that goes on.
        spent: whether the process that tells it can train nothing more.
    """

    task: Any
    steps: int = 0
    result: Any = None
    error: str | None = None
    details: str = ""
    notice: str = ""
    spent: bool = False

    @property
    def ended(self) -> bool:
        return self.result is not None or self.error is not None


class Spent(Exception):
    """A process can train nothing more, because of the error that this is raised from."""


class Lanes(Protocol):
    """What trains tasks."""

    @property
    def idle(self) -> int:
        """How many tasks can be started now."""
        ...

    def start(self, task: Any) -> None: ...

    def wait(self, timeout: float | None = None) -> list[Event]: ...

    def close(self) -> None: ...


def prepare_processes(modules: list[str]) -> None:
    """Start what ProcessLanes are forked from, and have it import modules in the background.

    A server that has imported torch forks lanes in no time, and is free of this process's threads
    and file descriptors. Ctrl-C is not for it: it ends when this process does.

    Raises:
        UserError: on a system without fork servers, such as Windows.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UserError(
            "normbench trains on Linux and macOS, which have fork servers; on Windows, use it in "
            "the Windows Subsystem for Linux"
        )
    multiprocessing.set_forkserver_preload(modules)
    resource_tracker.ensure_running()  # which unblocks the signal for what is started after it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ProcessLanes:
    """Lanes that are processes, kept for one task after another.

    A task whose process dies is given to a fresh process once; when that dies too, the task has
    failed. Processes end when this one does, however it ends: each watches its pipe.

    Args:
        count: how many.
        make_train: called once in each process (so it is pickled); makes what trains a task.
    """

    ATTEMPTS = 2

    def __init__(self, count: int, make_train: Callable[[], Train]):
        self.context = multiprocessing.get_context("forkserver")
        # a child takes over its parent's default, which in a worker of joblib's is none it knows
        known = (None, *multiprocessing.get_all_start_methods())
        if multiprocessing.get_start_method(allow_none=True) not in known:
            multiprocessing.set_start_method("forkserver", force=True)
        self.make_train = make_train
        self.processes: list[_LaneProcess] = []
        self.count = count

    @property
    def idle(self) -> int:
        return self.count - sum(p.task is not None for p in self.processes)

    def start(self, task: Any) -> None:
        free = next((p for p in self.processes if p.task is None), None)
        if free is None:
            free = self._fork()
            self.processes.append(free)
        free.give(task, attempt=1)

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Events of lanes that have some, as soon as one has; none after timeout seconds."""
        events = []
        ready = wait([p.pipe for p in self.processes if p.task is not None], timeout)
        for process in [p for p in self.processes if p.pipe in ready]:
            try:
                events.append(process.pipe.recv())
            except (EOFError, OSError):
                events += self._bury(process)
                continue
            if events[-1].ended:
                process.task = None
            if events[-1].spent:
                self.processes.remove(process)
                process.end()
        return events

    def _fork(self) -> _LaneProcess:
        """A fresh process, from a fresh server if that was killed as well."""
        for pause in PAUSES:
            try:
                return _LaneProcess(self.context, self.make_train)
            except (EOFError, ConnectionError, FileNotFoundError):
                time.sleep(pause)
        return _LaneProcess(self.context, self.make_train)

    def _bury(self, process: _LaneProcess) -> list[Event]:
        """Replace a dead process and give its task a second chance."""
        self.processes.remove(process)
        task, attempt = process.task, process.attempt
        cause = process.end()
        if attempt < self.ATTEMPTS:
            fresh = self._fork()
            self.processes.append(fresh)
            fresh.give(task, attempt + 1)
            return [Event(task, notice=f"its process {cause}; trying once more")]
        return [Event(task, error=f"its process {cause}, {attempt} times")]

    def close(self) -> None:
        for process in self.processes:
            process.end()
        self.processes.clear()


class _LaneProcess:
    """A process that trains one task at a time, seen from the process that feeds it.

    Attributes:
        task: the one that it trains, or None.
        attempt: at that, from 1.
    """

    def __init__(self, context: Any, make_train: Callable[[], Train]):
        self.pipe, theirs = context.Pipe()
        self.task: Any = None
        self.attempt = 0
        self.process = context.Process(target=_serve, args=(theirs, make_train), daemon=True)
        with _no_main():
            self.process.start()
        theirs.close()

    def give(self, task: Any, attempt: int) -> None:
        self.task, self.attempt = task, attempt
        try:
            self.pipe.send(task)
        except OSError:
            pass  # it is dead already, which the next wait finds

    def end(self) -> str:
        """Kill it, if it lives, and say how it died."""
        self.pipe.close()
        self.process.join(0.5 if self.process.exitcode is None else None)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


_starting = threading.Lock()


@contextmanager
def _no_main() -> Iterator[None]:
    """Inside, a process that is started does not import what this one runs: a lane needs nothing of
    it, and a script without ``if __name__ == "__main__":`` would train there once more."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _serve(pipe: Connection, make_train: Callable[[], Train]) -> None:
    """What a lane's process does: train the tasks that come through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that feeds the lanes
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.breakpointhook = _no_debugger
    tasks: list[Any] = []
    arrived = threading.Semaphore(0)

    def listen() -> None:
        while True:
            try:
                tasks.append(pipe.recv())
            except (EOFError, OSError):
                os._exit(1)  # whoever feeds this lane is gone
            arrived.release()

    threading.Thread(target=listen, daemon=True).start()
    make_train = cache(make_train)
    while True:
        arrived.acquire()
        task = tasks.pop(0)

        def report(steps: int, task: Any = task) -> None:
            pipe.send(Event(task, steps))

        pipe.send(_attempt(make_train, task, report))


def _no_debugger(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("breakpoint() in a lane, which has no terminal: remove it")


def _attempt(make_train: Callable[[], Train], task: Any, report: Report) -> Event:
    try:
        return Event(task, result=make_train()(task, report))
    except Spent as spent:
        assert isinstance(spent.__cause__, Exception)
        return replace(failure(task, spent.__cause__), spent=True)
    except Exception as error:  # whatever stops this task, others go on
        return failure(task, error)


def failure(task: Any, error: Exception) -> Event:
    """The end of a task by an error that is being handled."""
    line = (str(error).strip().splitlines() or [""])[0]
    line = f"{type(error).__name__}: {line}{place_of(error)}"
    return Event(task, error=line, details=traceback.format_exc())
