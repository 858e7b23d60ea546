"""Captured steps on CUDA tensors that have a shape, a dtype and a device, but no memory.

What a graph cannot hold shows without a device: an operator whose result depends on data raises,
as does one that mixes devices. The backward pass needs torch's engine for a device; its outcome is
put in place of it.
"""

from functools import partial

import pytest
import torch
from small_runs import MODEL, plan, ranger
from stand_in_cuda import StandInStream
from torch import nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)
from torch.utils._python_dispatch import TorchDispatchMode

from normbench.data.dataset import Dataset, Split
from normbench.engine.captured import CapturedTraining
from normbench.models import build_model
from normbench.models.cnn4 import CNN4
from normbench.places import config_names

CUDA = torch.device("cuda")


def sgd(params, **settings):
    return torch.optim.SGD(params, momentum=0.9, **settings)


def to(module, device=None, memory_format=None):
    """In place of nn.Module.to, which swaps tensors that have no memory, and may not."""
    for t in [*module.parameters(), *module.buffers()]:
        if memory_format and t.dim() == 4:
            t.data = t.data.to(memory_format=memory_format)
    return module


def statistics(x, running_mean, running_var, momentum):
    return x.float().mean((0, 2, 3)), x.float().var((0, 2, 3))


@pytest.fixture
def fake(monkeypatch):
    """A device, as far as torch asks."""
    monkeypatch.setattr(nn.Module, "to", to)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.amp.grad_scaler, "amp_definitely_not_available", lambda: False, False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    # of these, torch knows no form without memory
    for name in ("sgd", "adam", "adamw"):
        monkeypatch.setattr(torch, f"_fused_{name}_", lambda *tensors, **settings: None)
    monkeypatch.setattr(torch, "batch_norm_update_stats", statistics)
    with FakeTensorMode(), torch.device("cuda"):
        yield


class Watching(TorchDispatchMode):
    """Counts operators, and lets none read from the device or work on the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        outcome = operator(*args, **(kwargs or {}))
        tensors = [t for t in torch.utils._pytree.tree_leaves(outcome) if torch.is_tensor(t)]
        assert all(t.device.type == "cuda" for t in tensors), operator
        assert operator is not torch.ops.aten._local_scalar_dense.default
        self.count += 1
        return outcome


def split(count):
    images = torch.empty(count, 16, 16, 3, dtype=torch.uint8)
    return Split(images, torch.zeros(count, dtype=torch.int64))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(
    "norm, optimizer",
    [
        *((norm, ranger) for norm in config_names("norm")),
        ("batchnorm", sgd),
        ("batchnorm", torch.optim.AdamW),
    ],
)
def test_a_step_and_an_evaluation_wait_for_nothing(fake, monkeypatch, norm, optimizer, precision):
    training = training_of(
        plan(model=partial(build_model, MODEL, norm, 3), optimizer=optimizer, precision=precision)
    )
    take_a_step(training, monkeypatch)  # what happens only once may wait
    with Watching() as watch:
        take_a_step(training, monkeypatch)
    assert watch.count > 20


class Reading(nn.Module):
    def __init__(self, num_channels, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        if self.how == "reads":
            return x * x.mean().item()
        if self.how == "picks":
            return x * x[x > 0].mean()
        return x + torch.ones(1, device="cpu").to(x.device)


@pytest.mark.parametrize("how", ["reads", "picks", "copies"])
def test_what_waits_is_seen(fake, monkeypatch, how):
    training = training_of(plan(model=partial(CNN4, partial(Reading, how=how), 3, widths=(8,))))
    with pytest.raises((DynamicOutputShapeException, DataDependentOutputException, AssertionError)):
        with Watching():
            take_a_step(training, monkeypatch)


def training_of(plan):
    data = Dataset("made", split(50), split(31), ("a", "b", "c"), "digest", None)
    return CapturedTraining(plan, data, CUDA, StandInStream())


def take_a_step(training, monkeypatch):
    """And evaluate a batch."""

    def backward(loss):
        for p in training.model.parameters():
            p.grad = torch.empty_like(p) if p.requires_grad else None

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    training.model.train()
    training.next_step()
    training.model.eval()
    training.next_evaluation()
