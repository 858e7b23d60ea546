"""Fixtures for all tests."""

import pytest
from command_line import CommandLine


@pytest.fixture
def normbench_command(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    return CommandLine(folder)
