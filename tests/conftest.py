"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
import torch
from command_line import CommandLine

from normbench.store.records import RecordStore

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny tensors gain nothing from threads that have to wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def normbench_command(tmp_path):
    """normbench(*arguments) -> (exit code, standard output, standard error), in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    return CommandLine(folder)


@pytest.fixture
def store(tmp_path):
    """An empty results folder's records."""
    store = RecordStore(tmp_path)
    store.make_writable()
    return store


@pytest.fixture(scope="session")
def imagenette_root():
    """The folder that holds imagenette2-160; skips where there is no copy on disk."""
    places = [Path(os.environ["NORMBENCH_DATA"])] if os.environ.get("NORMBENCH_DATA") else []
    places += [REPOSITORY / "shared" / "data", REPOSITORY.parent / "shared" / "data"]
    root = next((place for place in places if (place / "imagenette2-160").is_dir()), None)
    if root is None:
        pytest.skip("needs Imagenette: set NORMBENCH_DATA to the folder with imagenette2-160")
    return root
