#!/usr/bin/env python3
"""Everything that can happen to a grid while it trains, done to it on purpose.

    scripts/fault_campaign.py                      # all of it: 100 kills, 8 processes; an hour
    scripts/fault_campaign.py --kills 10 --processes 4
    scripts/fault_campaign.py --short              # a few faults, under a minute
    scripts/fault_campaign.py --only kill --seed 3

Prints a line for each fault, and with --table FILE writes them as a markdown table. What is drawn
at random follows from the seed. Exit code 1 if anything came of a fault that must not.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults import damage, kills, machine, numbers  # noqa: F401  (which register their faults)
from faults.trial import FAULTS, NotHere, Trial

import normbench
from normbench.environment import commit, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=32, help="of each of three kinds")
    parser.add_argument("--processes", type=int, default=8, help="that share a grid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few faults, a kill of each kind")
    parser.add_argument("--only", default="", help="faults whose function has this in its name")
    parser.add_argument("--table", type=Path, help="a markdown file to write")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which leaves nothing behind
    if arguments.short:
        arguments.kills = 1
    rows = []
    with frozen_code():
        for fault in FAULTS:
            if arguments.only in fault.tried.__name__ and (fault.short or not arguments.short):
                rows.append((fault.what, *attempt(fault, arguments)))
                print(f"{rows[-1][1]:<7} {fault.what}\n        {rows[-1][2]}", flush=True)
    failed = sum(verdict == "FAILED" for _, verdict, _ in rows)
    print(f"{len(rows)} faults, {failed} failed")
    if arguments.table:
        arguments.table.parent.mkdir(parents=True, exist_ok=True)
        arguments.table.write_text(table(rows, arguments))
    sys.exit(1 if failed else 0)


@contextmanager
def frozen_code() -> Iterator[None]:
    """Commands run a copy of the code, so that nobody's edits or commits pass for a fault."""
    package = Path(normbench.__file__).parent
    with tempfile.TemporaryDirectory(prefix="normbench_code_") as copy:
        for name in ("normbench", "configs"):
            shutil.copytree(package.parent / name, Path(copy, name))
        path = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([copy, path] if path else [copy])
        yield


def attempt(fault, arguments: argparse.Namespace) -> tuple[str, str]:
    """Try a fault in a folder of its own: a verdict, and what came of it."""
    folder = Path(tempfile.mkdtemp(prefix="normbench_fault_"))
    draw = random.Random(f"{arguments.seed} {fault.tried.__name__}")
    trial = Trial(folder, draw, arguments.kills, arguments.processes, arguments.short)
    start = time.monotonic()
    try:
        came = fault.tried(trial)
        verdict = "as said"
    except NotHere as reason:
        verdict, came = "skipped", str(reason)
    except AssertionError as reason:
        verdict, came = "FAILED", " ".join(str(reason).split())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return verdict, f"{came} ({time.monotonic() - start:.0f} s)"


def table(rows: list[tuple[str, str, str]], arguments: argparse.Namespace) -> str:
    typed = f"--kills {arguments.kills} --processes {arguments.processes} --seed {arguments.seed}"
    lines = [
        "# Faults, and what came of them\n",
        f"`scripts/fault_campaign.py {typed}` on {processor()}, commit {commit()}.\n",
        "| what was done | verdict | what came of it |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
