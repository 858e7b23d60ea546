"""What the tests on a CUDA device share. Without a device they are skipped."""

from functools import partial
from pathlib import Path

import pytest
import torch

from normbench.data.dataset import Dataset, Split
from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import flat_cosine
from normbench.engine.training import Plan
from normbench.models import build_model
from normbench.places import read_config

CUDA = torch.device("cuda")
SIDE = 64  # of images


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def cuda():
    """The device, set up as lanes set it up."""
    from normbench.engine.cuda import Cuda

    return Cuda()


@pytest.fixture(scope="session")
def data(cuda):
    """Three classes, told apart by a colour, in noise; on the device."""

    def split(count, seed):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (count,), generator=generator)
        images = torch.randint(0, 200, (count, SIDE, SIDE, 3), generator=generator)
        images[torch.arange(count), :, :, labels] += 40
        return Split(images.to(torch.uint8), labels)

    return Dataset("made", split(100, 0), split(70, 1), ("a", "b", "c"), "digest", None).to(CUDA)


def sized(model):
    """A model's config for the images here, where it has to know their size."""
    settings = dict(read_config(f"model/{model}"))
    return settings | ({"image_size": SIDE} if "image_size" in settings else {})


@pytest.fixture
def plan():
    """Makes plans: of cnn4 with BatchNorm and the default protocol, but for what is changed.

    model: a model's name, or what makes a network.
    """

    def make(model="cnn4", norm="batchnorm", **changes):
        settings = {
            "model": model if callable(model) else partial(build_model, sized(model), norm, 3),
            "optimizer": Ranger,
            "schedule": flat_cosine,
            "batch_size": 2,
            "lr": 0.001,
            "seed": 3,
            "epochs": 1,
            "precision": "fp32",
        }
        return Plan(**settings | changes)

    return make
