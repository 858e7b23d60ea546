"""Start a contender, watch its memory, read its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from normbench.errors import RunFailed

SECONDS_BETWEEN_SAMPLES = 0.25
MISSING = 3  # exit code of a contender that cannot run here; its last line says why


@dataclass(frozen=True)
class Task:
    """What every contender is asked to do.

    Attributes:
        settings: what can change the outcome of a run (``settings.outcome_settings``).
        source: the data config.
        images: folder with train/ and val/, each with one folder a class.
        batch_size: to train with.
        device: cpu or cuda.
        seconds: how long to measure; normbench trains whole epochs instead.
        limit: how many images of a split normbench uses, or None for all.
        lanes: how many runs normbench trains side by side.
        threads: CPU threads of each of these.
        launched: time.time() when its process was started.
        grid: batch_size, lr and seeds, each a list, and epochs: of the runs of a whole grid.
        command: what ``normbench run`` trains the same runs with.
    """

    settings: dict[str, Any]
    source: Mapping[str, Any]
    images: str
    batch_size: int
    device: str
    seconds: float
    limit: int | None
    lanes: int = 1
    threads: int = 1
    launched: float = 0.0
    grid: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = ()

    @property
    def precision(self) -> str:
        """fp32, bf16 or fp16."""
        return self.settings["train"]["precision"]

    @property
    def channels(self) -> int:
        """Of the images: 3, or 1 for grey ones."""
        return len(self.settings["data"]["mean"])

    def network(self, num_classes: int) -> Any:
        """The network to train, freshly initialized."""
        from normbench.models import build_model

        model, norm = self.settings["model"], self.settings["norm"]
        return build_model(model, norm, num_classes, self.channels)


def contender(main: Callable[[Task], dict[str, Any]]) -> None:
    """What a contender's module calls: read the task, do it, print the answer."""
    print(json.dumps(main(Task(**json.loads(sys.argv[1])))))


def cannot_run(reason: str) -> NoReturn:
    """End a contender that cannot run here."""
    print(reason)
    sys.exit(MISSING)


def measure(module: str, task: Task) -> dict[str, Any]:
    """Run ``python -m module`` on a task.

    Returns:
        What the module answered, and ``peak_memory`` in bytes: the largest sum of its processes'
        proportional set sizes (pages they share count once). Or ``{"missing": reason}``.

    Raises:
        RunFailed: with the last line that it wrote to standard error.
    """
    task = Task(**asdict(task) | {"launched": time.time()})
    process = subprocess.Popen(
        [sys.executable, "-m", module, json.dumps(asdict(task))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    peak = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(SECONDS_BETWEEN_SAMPLES):
            peak = max(peak, sum(_memory(pid) for pid in _family(process.pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        out, err = process.communicate()
    finally:
        process.kill()
        ended.set()
        watcher.join()
    lines = out.strip().splitlines()
    if process.returncode == MISSING and lines:
        return {"missing": lines[-1]}
    if process.returncode != 0 or not lines:
        last = (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise RunFailed(f"{module} at batch size {task.batch_size} failed: {last}")
    return json.loads(lines[-1]) | {"peak_memory": peak}


def _memory(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that is gone, or where Linux is not."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for thread in Path("/proc").glob(f"{pid}/task/*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))
