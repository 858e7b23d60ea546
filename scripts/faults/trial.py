"""A fault, and what it is tried with: normbench typed in a folder of its own."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

TINY = [
    "data=synthetic", "data.source.train_size=120", "data.source.val_size=60", "data.image_size=16",
    "model.widths=[8,16]", "train.epochs=1", "engine.threads=1", "grid.lr=[0.01]",
]  # fmt: skip
ONE = [*TINY, "grid.batch_size=[20]", "grid.seeds=[0]"]
SWEEP = [
    "run", "-m", *TINY, "norm=none,batchnorm", "grid.batch_size=[4]", "grid.seeds=[0,1,2]",
    "train.epochs=4", "train.checkpoint=always",
]  # fmt: skip
SWEEP_RUNS = 6
PROBE = ["probe", *ONE, "norm=none,batchnorm", "grid.seeds=[0,1]"]

# how long things took, and what depends on that
TIMINGS = (
    "train_seconds", "evaluation_seconds", "images_per_second", "seconds", "checksum",
)  # fmt: skip
PATIENCE = 1800  # seconds until a command is taken to hang

Tried = Callable[["Trial"], str]


class NotHere(Exception):
    """This cannot be tried on this machine; the message says why."""


@dataclass(frozen=True)
class Fault:
    """what: was tried. short: whether the short form of the campaign tries it, too."""

    what: str
    tried: Tried
    short: bool


FAULTS: list[Fault] = []
_undisturbed: dict[tuple[str, ...], Undisturbed] = {}


def fault(what: str, short: bool = False) -> Callable[[Tried], Tried]:
    """Registers a function that tries something and returns in a few words what came of it.

    It raises AssertionError if something came of it that must not, NotHere if it cannot be tried.
    """

    def register(tried: Tried) -> Tried:
        FAULTS.append(Fault(what, tried, short))
        return tried

    return register


@dataclass(frozen=True)
class Done:
    """What a command answered."""

    code: int
    out: str
    err: str

    def fine(self) -> Done:
        assert self.code == 0, f"exit code {self.code}: {self.err}"
        return self

    def refused(self, *words: str) -> str:
        """That it was refused as wrong input has to be; returns the line."""
        assert self.code == 2, f"exit code {self.code}: {self.err}"
        lines = self.err.strip().splitlines()
        assert len(lines) == 1 and "Traceback" not in self.err, f"not one line: {self.err}"
        for word in words:
            assert word in lines[0], f"{word!r} is not named: {lines[0]}"
        return lines[0]

    @property
    def trained(self) -> int:
        (count,) = re.findall(r"^(\d+) runs? (?:trained|measured)", self.out, re.M)
        return int(count)


@dataclass
class Trial:
    """A folder to try a fault in, and random numbers that are the same for the same seed.

    kills: how many of each kind. processes: how many share a grid. short: whether little is tried.
    """

    folder: Path
    draw: random.Random
    kills: int
    processes: int
    short: bool

    def start(self, *typed: str, **settings: Any) -> subprocess.Popen:
        """A command that runs, in a session of its own. settings: of Popen."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NORMBENCH_")}
        environment |= {
            "NORMBENCH_CACHE": str(self.folder / "cache"),
            "HOME": str(self.folder / "home"),
        }
        prefix = settings.pop("prefix", [])
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "normbench", *typed],
            env=environment | settings.pop("changes", {}),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **settings,
        )

    def type(self, *typed: str, **settings: Any) -> Done:
        return self.end(self.start(*typed, **settings))

    def end(self, process: subprocess.Popen) -> Done:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("it hangs") from None
        return Done(process.returncode, out, err)

    def without_faults(self, typed: list[str]) -> Undisturbed:
        """What a command comes to that nothing happens to; done once for all faults."""
        if (key := tuple(typed)) not in _undisturbed:
            start = time.monotonic()
            self.type(*typed, "results.dir=undisturbed").fine()
            seconds = time.monotonic() - start
            _undisturbed[key] = Undisturbed(measured(self.folder / "undisturbed"), seconds)
            shutil.rmtree(self.folder / "undisturbed")
        return _undisturbed[key]

    def same_as_undisturbed(self, typed: list[str], results: str) -> None:
        """All that a results folder holds is what it would hold had nothing happened."""
        same(measured(self.folder / results), self.without_faults(typed).holds)


@dataclass(frozen=True)
class Undisturbed:
    holds: dict[str, Any]
    seconds: float


def measured(results: Path) -> dict[str, Any]:
    """Everything in a results folder but logs, and how long things took: by file, its content."""
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if path.is_dir() or name.parts[0] in ("logs", "grids"):
            continue
        found[str(name)] = path.read_bytes()
        if name.parts[0] in ("records", "probes") and path.suffix == ".json":
            record = json.loads(found[str(name)])
            found[str(name)] = {k: v for k, v in record.items() if k not in TIMINGS}
        elif path.suffix == ".safetensors":  # whose header lists metadata in any order
            with safe_open(path, "numpy") as tensors:
                found[str(name)] = {
                    "metadata": tensors.metadata(),
                    **{key: tensors.get_tensor(key).tobytes() for key in tensors.keys()},
                }
    return found


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    missing, more = wanted.keys() - found.keys(), found.keys() - wanted.keys()
    assert not missing, f"lost: {sorted(missing)}"
    assert not more, f"left behind: {sorted(more)}"
    differ = [name for name in wanted if found[name] != wanted[name]]
    assert not differ, f"not what it should be: {differ}"


def family(leader: int) -> dict[int, int]:
    """Living processes in the session of a command, but itself: id -> its parent's."""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(entry.name)
            state, parent, _, session = (
                (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
            )  # fmt: skip
            if int(session) == leader and pid != leader and state not in "ZX":
                found[pid] = int(parent)
    return found


def lanes(leader: int) -> list[int]:
    """The lanes of a command: what its fork server, a child of its own, has forked."""
    there = family(leader)
    return sorted(pid for pid, parent in there.items() if parent in there)
