"""Captured steps on CUDA tensors without memory: nothing waits, nothing is where it should not be.

The same on a device is tested in tests/cuda.
"""

from functools import partial

import operators_a_step
import pytest
import torch
from fake_cuda import (
    Watching,
    backward,
    evaluate_a_batch,
    fake_cuda,
    places,
    take_a_step,
    training_of,
)
from small_runs import MODEL, plan
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)

from normbench.engine import ranger_update
from normbench.engine.optimizers import Ranger
from normbench.engine.schedules import constant
from normbench.models import build_model
from normbench.models.cnn4 import CNN4
from normbench.parts import make_optimizer, make_schedule
from normbench.places import config_names, read_config

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NORMS = config_names("norm")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("model", ["cnn4", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_a_step_takes_as_many_operators_as_are_written_down(model, norm):
    counted, convolved = operators_a_step.count(model, norm)
    assert convolved == {torch.bfloat16}
    if f"with torch {operators_a_step.VERSION}," not in operators_a_step.FILE.read_text():
        pytest.skip(f"counted with another torch than {operators_a_step.VERSION}")
    assert operators_a_step.read().get((model, norm)) == counted, (
        "if it is worth it, python tests/operators_a_step.py writes them anew"
    )


def watched(**changes):
    """What a step and an evaluation did, after the first, as what happens only once may wait."""
    with fake_cuda():
        training = training_of(plan(**changes))
        take_a_step(training)
        evaluate_a_batch(training)
        with Watching() as watch:
            take_a_step(training)
            evaluate_a_batch(training)
        for params, targets in training.parameters.gradients:
            # else one copy would become many
            assert len({p.grad.dtype for p in params}) == 1
            assert [places(p.grad) for p in params] == [places(target) for target in targets]
    return watch


SOME = ["batchnorm", "groupnorm", "running_batchnorm", "ws_bcn"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "model, norm",
    [
        *((MODEL, n) if n in SOME else pytest.param(MODEL, n, marks=pytest.mark.slow)
          for n in NORMS),
        *(pytest.param("resnet18", norm, marks=pytest.mark.slow) for norm in SOME),
    ],
)  # fmt: skip
def test_a_step_and_an_evaluation_wait_for_nothing(model, norm, precision):
    watch = watched(model=partial(build_model, model, norm, 3), precision=precision)
    assert watch.convolved == {DTYPES[precision]}


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("schedule", config_names("schedule"))
@pytest.mark.parametrize("optimizer", config_names("optimizer"))
def test_no_optimizer_or_schedule_waits(optimizer, schedule, precision):
    settings = {group: dict(read_config(f"{group}/{name}"))
                for group, name in (("optimizer", optimizer), ("schedule", schedule))}  # fmt: skip
    watched(
        optimizer=partial(make_optimizer, settings["optimizer"]),
        schedule=partial(make_schedule, settings["schedule"]),
        precision=precision,
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RAdam])
def test_no_optimizer_of_torchs_that_has_a_form_for_graphs_waits(optimizer, precision):
    watched(optimizer=optimizer, schedule=constant, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_ranger_without_its_kernel_waits_for_nothing(monkeypatch, precision):
    operators = ranger_update.update_by_operators
    monkeypatch.setattr(ranger_update, "for_parameter", lambda p: operators)
    watched(optimizer=Ranger, precision=precision)


class Reading(nn.Module):
    """Waits for the device, or works on the host: in its forward pass, or in its gradient's."""

    def __init__(self, num_channels, how, late):
        super().__init__()
        self.how, self.late = how, late

    def forward(self, x):
        return Late.apply(self.spoil, x) if self.late else self.spoil(x)

    def spoil(self, x):
        if self.how == "reads":
            return x * x.mean().item()
        if self.how == "picks":
            return x * x[x > 0].mean()
        return x + torch.ones(1, device="cpu").to(x.device)


class Late(torch.autograd.Function):
    @staticmethod
    def forward(context, spoil, x):
        context.spoil = spoil
        return x * 1

    @staticmethod
    def backward(context, gradient):
        return None, context.spoil(gradient)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("how", ["reads", "picks", "copies"])
def test_what_waits_is_seen(how, late):
    layer = partial(Reading, how=how, late=late)
    with pytest.raises((DynamicOutputShapeException, DataDependentOutputException, AssertionError)):
        watched(model=partial(CNN4, layer, 3, widths=(8,)))


class Lazy(nn.Module):
    """Computes in a dtype and in an order of its own."""

    def __init__(self, num_channels):
        super().__init__()
        self.convolution = nn.Conv2d(num_channels, num_channels, 1, bias=False)

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            y = nn.functional.conv2d(x.float().contiguous(), self.convolution.weight.float())
        return y.to(x.dtype)


def test_what_is_cast_or_lies_otherwise_is_seen():
    watch = watched(model=partial(CNN4, Lazy, 3, widths=(8, 8)), precision="bf16")
    assert watch.convolved == {torch.bfloat16, torch.float32} and watch.misplaced


def test_the_backward_pass_is_torchs():
    """On the CPU, where torch's own can be had."""

    def gradients(go):
        torch.manual_seed(0)
        model = build_model("resnet18", "ws_bcn", 3)
        loss = nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4) % 3)
        go(loss)
        return [p.grad for p in model.parameters()]

    for ours, torchs in zip(gradients(backward), gradients(torch.Tensor.backward), strict=True):
        torch.testing.assert_close(ours, torchs)
