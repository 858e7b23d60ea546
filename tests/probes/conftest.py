"""A small run to probe."""

import pytest
import small_runs
import torch
from torch import nn

from normbench.engine.schedules import constant
from normbench.models.cnn4 import CNN4


@pytest.fixture
def data():
    return small_runs.dataset()


@pytest.fixture
def plan():
    """plan(**changes) -> Plan: two epochs of six steps unless changed."""

    def make(norm=nn.BatchNorm2d, **changes):
        settings = {
            "model": lambda: CNN4(norm, 3, widths=(8, 8)),
            "optimizer": lambda params, lr: torch.optim.AdamW(params, lr=lr),
            "schedule": constant,
            "lr": 0.01,
        }
        return small_runs.plan(**settings | changes)

    return make
