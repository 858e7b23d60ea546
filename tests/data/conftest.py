"""Tiny datasets on disk, and Imagenette itself where a copy is at hand."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from normbench.data.load import load_dataset
from normbench.places import config_folder


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home of its own for each test: nothing of the user's is read or written."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "NORMBENCH_DATA", "NORMBENCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return home


def read_config(name: str, **changes) -> dict:
    config = OmegaConf.load(config_folder() / "data" / f"{name}.yaml")
    return OmegaConf.to_container(config, resolve=True) | changes


@pytest.fixture
def config(home, tmp_path):
    """config(name, **changes): the settings in configs/data/name.yaml, with a cache of its own."""

    def make(name: str, **changes) -> dict:
        return read_config(name, **{"cache": str(tmp_path / "cache")} | changes)

    return make


@pytest.fixture
def photo():
    """photo(seed, width, height): a smooth RGB image, different for every seed."""

    def make(seed: int = 0, width: int = 20, height: int = 12) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def folder(tmp_path, photo):
    """An image folder: cats and dogs, two each to train on, one each to evaluate."""
    root = tmp_path / "pets"
    for i, path in enumerate(
        ("train/cat/a.jpg", "train/cat/b.jpg", "train/dog/a.jpg", "train/dog/b.jpg")
        + ("val/cat/a.jpg", "val/dog/a.jpg")
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        photo(i).save(root / path)
    return root


@pytest.fixture(scope="session")
def real_imagenette(imagenette_root, tmp_path_factory):
    """Imagenette at 64 px, prepared once a session."""
    cache = tmp_path_factory.mktemp("prepared")
    config = read_config(
        "imagenette", root=str(imagenette_root), cache=str(cache), download=False, image_size=64
    )
    return imagenette_root, load_dataset(config)
