"""One captured graph serves every seed and learning rate of a cell: the control logic, on the CPU.

The same on a device is tested in tests/cuda.
"""

import importlib
import math
from functools import partial

import pytest
import torch
from small_runs import MODEL, adamw, dataset, plan, ranger, sgd
from stand_in_cuda import Noisy, StandInStream
from torch import nn

from normbench.engine.captured import run_in_stream
from normbench.engine.checkpoint import Checkpoint
from normbench.engine.schedules import constant, one_cycle
from normbench.engine.training import finish
from normbench.grid import Run
from normbench.models import build_model
from normbench.models.cnn4 import CNN4
from normbench.parts import plan_of
from normbench.places import read_config

CPU = torch.device("cpu")
DATA = dataset()


def decaying(params, lr, **settings):
    return sgd(params, lr=lr, weight_decay=lr / 10, **settings)


@pytest.fixture(autouse=True)
def capturable_here(monkeypatch):
    """Torch lets its optimizers be captured on accelerators only."""
    module = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda *_: ["cpu"])


def train(stream, chosen, data=DATA, checkpoint=None):
    with stream.use():
        return finish(run_in_stream(chosen, data, CPU, stream, pytest.fail, checkpoint))


def after(first, second, **settings):
    """Two runs one after the other in a stream -> the second's result, whether it captured any."""
    stream = StandInStream()
    train(stream, first)
    before = stream.captured
    return train(stream, second, **settings), stream.captured > before


def alone(chosen):
    return train(StandInStream(), chosen).epochs


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": optimizer, "schedule": schedule, "precision": precision}
          for optimizer in (ranger, sgd, adamw)
          for schedule, precision in ((constant, "bf16"), (one_cycle, "fp32"),
              (partial(one_cycle, momentum=[0.95, 0.5, 0.95]), "fp16"))),
        *({"model": partial(build_model, MODEL, norm, 3)}
          for norm in ("none", "running_batchnorm", "ws_bcn", "spectralnorm", "noisy_batchnorm")),
        {"model": partial(CNN4, Noisy, 3, widths=(8, 8))},
        {"augment": "crop"},
        {"mean": (0.5, 0.4, 0.3)},
    ],
)  # fmt: skip
def test_a_run_of_the_same_cell_uses_the_graphs_of_the_last_to_the_same_bits(changes):
    first, second = plan(**changes), plan(**changes, seed=11, lr=0.004)
    result, captured = after(first, second)
    assert not captured
    assert result.epochs == alone(second) != alone(first)


def test_plans_of_the_same_cell_as_a_job_makes_them_have_it_so():
    settings = {group: dict(read_config(f"{group}/{name}"))
                for group, name in (("norm", "batchnorm"), ("optimizer", "ranger"),
                                    ("schedule", "flat_cosine"))}  # fmt: skip
    settings |= {"model": MODEL, "train": {"epochs": 1, "precision": "fp32"},
                 "data": {"mean": [0.5] * 3, "std": [0.25] * 3, "augment": "none"}}  # fmt: skip
    runs = [Run(settings, 8, lr, seed) for lr in (0.02, 0.004) for seed in (3, 4)]
    stream, plans = StandInStream(), [plan_of(run, 3) for run in runs]
    assert [train(stream, chosen).epochs for chosen in plans] == [*map(alone, plans)]
    assert stream.captured == 2


def test_any_number_of_runs_use_them():
    stream, plans = StandInStream(), [plan(seed=seed, lr=0.02 / (1 + seed)) for seed in range(4)]
    assert [train(stream, chosen).epochs for chosen in plans] == [*map(alone, plans)]
    assert stream.captured == 2


def test_a_run_that_diverged_leaves_no_trace():
    bad, good = (plan(optimizer=sgd, schedule=constant, lr=lr) for lr in (1e30, 0.02))
    stream = StandInStream()
    assert train(stream, bad).status == "diverged"
    captured = stream.captured
    result = train(stream, good)
    assert result.epochs == alone(good) and all(map(math.isfinite, result.epochs[-1].values()))
    assert stream.captured == captured


def test_a_run_goes_on_from_its_checkpoint_in_graphs_of_another(tmp_path):
    first, second = plan(), plan(seed=11, lr=0.004)
    checkpoint = Checkpoint(tmp_path / "run.pt", {"run": "second"}, always=True)
    whole = train(StandInStream(), second, checkpoint=checkpoint)  # keeps its first epoch
    assert checkpoint.path.exists()
    result, captured = after(first, second, checkpoint=checkpoint)
    assert result.epochs == whole.epochs and not captured


class Softer(nn.Module):
    """A network with another activation, and nothing else that is different."""

    def __new__(cls, *arguments):
        network = build_model(*arguments)
        for name, module in network.features.named_children():
            if isinstance(module, nn.ReLU):
                setattr(network.features, name, nn.Softplus())
        return network


class Kept:
    """Something that is no plain value."""

    def __init__(self, value):
        self.value = value


class Seeded(nn.Module):
    """Has drawn, when it was made, what graphs hold for good."""

    def __init__(self, num_channels, keep):
        super().__init__()
        self.factor = keep(1 + torch.rand(1).item())

    def forward(self, x):
        factor = self.factor.value if isinstance(self.factor, Kept) else self.factor
        return x * factor


def seeded(keep):
    return {"model": partial(CNN4, partial(Seeded, keep=keep), 3, widths=(8,))}


@pytest.mark.parametrize(
    "first, second",
    [
        ({}, {"batch_size": 10}),
        ({}, {"precision": "bf16"}),
        ({}, {"epochs": 3}),
        ({}, {"mean": (0.5, 0.4, 0.3)}),
        ({}, {"augment": "flip"}),
        ({}, {"optimizer": sgd}),
        ({}, {"schedule": partial(one_cycle, momentum=[0.95, 0.5, 0.95])}),
        ({}, {"model": partial(build_model, MODEL, "groupnorm", 3)}),
        ({}, {"model": partial(build_model, MODEL, "batchnorm_eps", 3)}),
        ({}, {"model": partial(Softer, MODEL, "batchnorm", 3)}),
        ({"optimizer": decaying}, {"optimizer": decaying, "lr": 0.004}),
        (seeded(float), seeded(float) | {"seed": 4}),
        (seeded(Kept), seeded(Kept) | {"seed": 4}),
    ],
)
def test_a_run_that_is_another_captures_graphs_of_its_own(first, second):
    first, second = plan(**first), plan(**second)
    result, captured = after(first, second)
    assert captured
    assert result.epochs == alone(second)


def test_a_run_on_other_images_captures_graphs_of_its_own():
    stream, other = StandInStream(), dataset()
    train(stream, plan())
    captured = stream.captured
    train(stream, plan(), other)
    assert stream.captured > captured


def test_what_fails_without_graphs_fails_with_those_of_another():
    class Full(nn.Identity):
        full = False

        def forward(self, x):
            if self.full:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x

    stream, chosen = StandInStream(), plan(model=lambda: CNN4(lambda _: Full(), 3, widths=(8,)))
    train(stream, chosen)
    Full.full = True
    with pytest.raises(torch.OutOfMemoryError):
        train(stream, chosen)
    assert stream.left is None
