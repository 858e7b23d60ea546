"""A process, named so that it can be told alive or dead later, wherever that can be told.

A process id alone is taken again, on this host or another. So a name says also where the id counts
(one boot of a host, and one namespace of ids in it) and when the process started.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

NOWHERE = "elsewhere"  # the place of a process on a system that does not tell


def this_process() -> str:
    """The name of this process, ``PLACE-PID-STARTED``; may be part of a file's name."""
    return _name(os.getpid())


@cache  # by id, as a process that is forked is another one
def _name(pid: int) -> str:
    return f"{place()}-{pid}-{_started(pid) or 0}"


def alive(name: str) -> bool | None:
    """Whether a process lives; None where that cannot be told, as on another host."""
    where, _, rest = name.partition("-")
    pid, _, started = rest.partition("-")
    if where != place() or where == NOWHERE or not (pid.isdecimal() and started.isdecimal()):
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's, which may not even be listed
        return _started(int(pid)) in (None, int(started))
    except OverflowError:
        return None
    return _started(int(pid)) == int(started)


@cache
def place() -> str:
    """Where process ids mean something, in 16 characters."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return NOWHERE
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> int | None:
    """When a process of this host started, in ticks since the host did; None if it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
