"""Many workers on one results folder: each run is recorded once, whoever dies meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_cluster.py"


@pytest.mark.slow
def test_runs_over_workers_that_are_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "results", "--runs=200", "--workers=20",
         "--seconds=0.1", "--processes=4", "--kills=2"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "missing 0, recorded twice 0, left behind 0" in done.stdout
    assert done.stdout.count("|         40 |") == 5
