"""A small run to probe."""

import pytest
import torch
from torch import nn

from normbench.data import Dataset, Split
from normbench.engine.schedules import constant
from normbench.engine.training import Plan
from normbench.models.cnn4 import CNN4


def split(count, seed, size=16):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    noise = torch.randint(0, 120, (count, size, size, 3), generator=generator)
    noise[torch.arange(count), :, :, labels] += 100
    return Split(noise.to(torch.uint8), labels)


@pytest.fixture
def data():
    return Dataset("made", split(50, 0), split(31, 1), ("a", "b", "c"), "digest", None)


@pytest.fixture
def plan():
    """plan(**changes) -> Plan: two epochs of six steps unless changed."""

    def make(norm=nn.BatchNorm2d, **changes):
        settings = {
            "model": lambda: CNN4(norm, 3, widths=(8, 8)),
            "optimizer": lambda params, lr: torch.optim.AdamW(params, lr=lr),
            "schedule": constant,
            "batch_size": 8,
            "lr": 0.01,
            "seed": 3,
            "epochs": 2,
            "precision": "fp32",
        }
        return Plan(**settings | changes)

    return make
