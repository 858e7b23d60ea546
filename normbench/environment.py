"""What a record says about where it was measured. No host names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

from normbench.version import __version__


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def commit() -> str | None:
    """The commit of the checkout that this package runs from, ``+changed`` if its code differs.

    None for an installed wheel, whose version says it all.
    """
    package = Path(__file__).parent

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(package), *args], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # a wheel that happens to lie inside some other repository
    head = git("rev-parse", "--short=12", "HEAD")
    return f"{head}+changed" if head and git("status", "--porcelain", "--", ".") else head


@cache
def processor() -> str:
    """The CPU's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


BUSY = 0.25  # of the cores at work for others, on average, from which speeds are not to be trusted


def busy_machine(seconds: float = 1.0) -> str:
    """In words, that the machine is busy with something else; empty where it is not.

    Looks on for some seconds, in which the caller must not work itself. What ended a moment ago
    does not count, as it would in a load average.
    """
    try:
        work = _work(seconds)
    except OSError:
        try:
            work = os.getloadavg()[0]
        except OSError:  # a system that does not tell
            return ""
    cores = os.cpu_count() or 1
    if work <= BUSY * cores:
        return ""
    return f"the machine is busy ({work:.1f} of {cores} cores at work for others)"


def _work(seconds: float) -> float:
    """How many cores were at work during some seconds, on average; Linux alone tells."""

    def ticks() -> tuple[int, int]:
        numbers = [int(n) for n in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
        return sum(numbers), sum(numbers[3:5])  # all, and those of idling and waiting for disks

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    passed = (all_after - all_before) or 1
    return (os.cpu_count() or 1) * (1 - (idle_after - idle_before) / passed)


def environment(device_type: str, threads: int) -> dict[str, Any]:
    """Versions and hardware: device_type is cpu or cuda, threads those a run trains with."""
    import torch

    on_gpu = device_type == "cuda"
    libraries = {}
    if on_gpu:
        libraries = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return {
        "normbench": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **libraries,
        "device": torch.cuda.get_device_name() if on_gpu else processor(),
        "device_type": device_type,
        "cores": available_cores(),
        "threads": threads,
    }
