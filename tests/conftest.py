"""What tests of the command line share: running normbench as a user does, in an empty folder."""

import os
import subprocess
import sys

import pytest


class CommandLine:
    """normbench, typed in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("NORMBENCH_")
        } | {"NORMBENCH_CACHE": str(folder.parent / "cache"), "HOME": str(folder.parent / "home")}

    def start(self, *arguments, **changes):
        """The running process, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "normbench", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments, **changes):
        """(exit code, standard output, standard error)"""
        process = self.start(*arguments, **changes)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    @property
    def records(self):
        return sorted((self.folder / "results" / "records").glob("*.json"))


@pytest.fixture
def normbench_command(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    return CommandLine(folder)
