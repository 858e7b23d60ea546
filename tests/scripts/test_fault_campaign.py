"""The short form of the fault campaign: a kill of each kind, and input that is damaged."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fault_campaign.py"


@pytest.mark.slow
def test_the_short_form_passes(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--short", "--table", tmp_path / "table.md"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as said") == 5, done.stdout
    assert (tmp_path / "table.md").read_text().count("\n| ") == 7
