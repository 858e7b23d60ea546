"""Locks that many hosts share through a folder: files that are there while somebody holds them.

Neither ``flock`` nor a process id nor a clock means anything from one host to another, so none of
them is relied upon:

- A lock is made by ``link``, which a network file system, too, grants to exactly one. Its file says
  who holds it, under a token that no other lock ever has.
- Its holder writes into it every few seconds. Another host takes it for abandoned when it has
  watched the file for LEASE seconds, by its own clock, without seeing a change. On the same host, a
  process is known to be alive or dead at once, whatever it writes.
- To take an abandoned lock over is to rename a file of one's own onto it. That is allowed only to
  who holds the lock of that take-over, which is named after the abandoned lock's token: one of
  many takers, and none once the file is another's.

What is left to chance is a holder that was cut off for longer than LEASE and comes back: two may
then believe to hold the lock. So whatever a lock protects must stay whole even then.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from normbench.store.processes import alive, this_process

HEARTBEAT = 5.0  # seconds between two signs of life
LEASE = 60.0  # seconds of watching without one, after which another host's lock is abandoned
POLL = 0.1  # seconds between two attempts to take a lock that another holds
PATIENCE = 30.0  # seconds of attempts before somebody is told
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # the file system has none


@dataclass(frozen=True)
class Holder:
    """What a lock's file says.

    token: of this lock alone.
    host: where the process runs, for people to read. process: its name (``processes``).
    seconds: how long it has held the lock, by its own clock, as it last wrote.
    """

    token: str
    host: str
    process: str
    seconds: float


class Locks:
    """The locks of one folder, as one process sees and holds them."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.held: dict[str, _Held] = {}
        self.watched: dict[str, _Watched] = {}
        self.stopped = threading.Event()

    def acquire(self, name: str) -> bool:
        """Take a lock, if it is free or its holder is gone; never waits."""
        held = self._take(self.folder / f"{name}.lock")
        if held is None:
            return False
        self.held[name] = held
        if len(self.held) == 1:
            self.stopped = threading.Event()
            threading.Thread(target=self._beat, args=(self.stopped,), daemon=True).start()
        return True

    def release(self, name: str) -> bool:
        """Give a lock back. False if it was lost: somebody took this process for gone."""
        held = self.held.pop(name)
        if not self.held:
            self.stopped.set()
        return held.remove()

    @contextmanager
    def hold(self, name: str, notice: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Hold a lock, however long that takes; notice is called when it takes PATIENCE seconds."""
        start, said = time.monotonic(), False
        while not self.acquire(name):
            if not said and time.monotonic() - start > PATIENCE:
                said = True
                notice()
            time.sleep(POLL)
        try:
            self.tidy()
            yield
        finally:
            self.release(name)

    def holders(self) -> dict[str, Holder]:
        """Who holds which lock, as far as the files say."""
        found = {path.stem: read(path) for path in self._files() if path.suffix == ".lock"}
        return {name: holder for name, holder in found.items() if holder is not None}

    def tidy(self) -> None:
        """Remove what processes of this host that are gone have left."""
        for path in self._files():
            if path.suffix == ".new":
                if alive(path.name.split(".")[-2]) is False:
                    path.unlink(missing_ok=True)
            elif (holder := read(path)) and alive(holder.process) is False:
                if held := self._take(path):
                    held.remove()

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if ".lock" in path.suffixes)
        except FileNotFoundError:
            return []

    def _take(self, path: Path) -> _Held | None:
        there = read(path)
        if there is not None and not self._abandoned(path, there):
            return None
        mine = _Held(path)
        try:
            if there is None:
                mine.link()
            elif takeover := self._take(path.with_name(f"{path.name}.{there.token}")):
                try:
                    if (now := read(path)) and now.token == there.token:
                        mine.replace()
                finally:
                    takeover.remove()
        finally:
            mine.forget_unless_taken()
        return mine if mine.taken else None

    def _abandoned(self, path: Path, holder: Holder) -> bool:
        """Whether a lock's holder is certainly dead, or was long watched and gave no sign."""
        lives = alive(holder.process)
        if lives is not None:
            return not lives
        watched = self.watched.get(path.name)
        if watched is None or watched.holder != holder:
            self.watched[path.name] = _Watched(holder, time.monotonic())
            return False
        return watched.look() >= LEASE

    def _beat(self, stopped: threading.Event) -> None:
        while not stopped.wait(HEARTBEAT):
            for held in list(self.held.values()):
                held.beat()


class _Held:
    """A lock's file, written by its holder: first under another name, then, if taken, its own."""

    def __init__(self, path: Path):
        self.path, self.taken = path, False
        self.token = secrets.token_hex(8)
        self.who = {"token": self.token, "host": socket.gethostname(), "process": this_process()}
        self.since = time.monotonic()
        self.writing = threading.Lock()  # held by a heartbeat or by what ends them
        path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = path.with_name(f"{path.name}.{self.token}.{self.who['process']}.new")
        self.handle = self._create(self.temporary)

    def link(self) -> None:
        """Become the lock, if there is none."""
        try:
            os.link(self.temporary, self.path)
            self.taken = True
        except FileExistsError:
            # over a network, a request that is repeated finds what it did the first time
            self.taken = os.fstat(self.handle).st_nlink == 2
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with suppress(FileExistsError):
                handle = self._create(self.path)
                os.close(self.handle)
                self.handle, self.taken = handle, True

    def replace(self) -> None:
        """Become the lock in place of the one that is there."""
        os.replace(self.temporary, self.path)
        self.taken = True

    def forget_unless_taken(self) -> None:
        self.temporary.unlink(missing_ok=True)
        if not self.taken:
            os.close(self.handle)

    def beat(self) -> None:
        """Give a sign of life; in place, so that nobody else's file is hit, nor a full disk."""
        # what is wrong with the file system shows when the lock is given back
        with self.writing, suppress(OSError):
            if self.taken:
                os.pwrite(self.handle, self._text(), 0)
                os.fsync(self.handle)

    def remove(self) -> bool:
        """Give the lock back; False if it is another's by now."""
        with self.writing, suppress(OSError):
            self.taken = False
            os.close(self.handle)
        there = read(self.path)
        mine = there is not None and there.token == self.token
        if mine:
            self.path.unlink(missing_ok=True)
        return mine

    def _create(self, path: Path) -> int:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.write(handle, self._text())
        except OSError:
            os.close(handle)
            path.unlink()
            raise
        return handle

    def _text(self) -> bytes:
        """Always of one length, so that rewriting it never changes where it ends."""
        seconds = time.monotonic() - self.since
        return f'{json.dumps(self.who)[:-1]}, "seconds": {seconds:12.1f}}}'.encode()


@dataclass
class _Watched:
    """A lock that does not change: for how many seconds, and when it was looked at last."""

    holder: Holder
    last: float
    seconds: float = 0.0

    def look(self) -> float:
        # A long time without a look counts as a short one: whatever stopped this process, such as
        # a machine that sleeps, may have stopped the holder as well.
        now = time.monotonic()
        self.seconds += min(now - self.last, HEARTBEAT)
        self.last = now
        return self.seconds


def read(path: Path) -> Holder | None:
    """Who holds a lock; None if there is no such file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        facts = json.loads(content)
        return Holder(
            str(facts["token"]), str(facts["host"]), str(facts["process"]), float(facts["seconds"])
        )
    except (ValueError, TypeError, KeyError):  # being written, or left by a host that crashed
        return Holder(hashlib.sha256(content).hexdigest()[:16], "unknown", "", 0.0)
