"""A whole grid by ``normbench run``, from images as they come to the table.

Nothing is prepared before: images are decoded within the time that is told.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from normbench.bench.measure import Task, contender


def main(task: Task) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        elsewhere = [f"results.dir={results}", f"data.cache={folder}/cache"]
        command = [sys.executable, "-m", "normbench", "run", *task.command, *elsewhere]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seconds = time.time() - task.launched
        if done.returncode or not list(results.glob("tables/*.md")):
            raise RuntimeError((done.stdout.strip().splitlines() or ["no table"])[-1])
    return {"seconds": seconds}


if __name__ == "__main__":
    contender(main)
