"""What tests train: a few images, told apart by a colour, and plans of a few steps; a grid."""

from functools import partial

import torch

from normbench.data.dataset import Dataset, Split
from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import flat_cosine
from normbench.engine.training import Plan
from normbench.grid import Grid
from normbench.models import build_model

# The least that runs have to say of themselves, and a grid of them.
NAMES = {
    "data": {"name": "synthetic"},
    "model": {"name": "cnn4"},
    "norm": {"name": "none"},
    "train": {"epochs": 3, "precision": "fp32"},
}
GRID = Grid((128, 2), (0.01, 0.001), (0, 1, 2))

MODEL = {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]}


def split(count, seed, size=16):
    """So many square images of three classes, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randint(0, 120, (count, size, size, 3), generator=generator)
    noise[torch.arange(count), :, :, labels] += 100
    return Split(noise.to(torch.uint8), labels)


def dataset():
    return Dataset("made", split(50, 0), split(31, 1), ("a", "b", "c"), "digest", None)


def ranger(params, **settings):
    return Ranger(params, lookahead_steps=4, weight_decay=0.01, **settings)


def sgd(params, **settings):
    return torch.optim.SGD(params, momentum=0.9, **settings)


def adamw(params, **settings):
    return torch.optim.AdamW(params, betas=(0.9, 0.99), **settings)


def plan(**changes):
    """Two epochs of six steps of a small network with BatchNorm, but for what is changed."""
    settings = {
        "model": partial(build_model, MODEL, "batchnorm", 3),
        "optimizer": ranger,
        "schedule": flat_cosine,
        "batch_size": 8,
        "lr": 0.02,
        "seed": 3,
        "epochs": 2,
        "precision": "fp32",
    }
    return Plan(**settings | changes)
