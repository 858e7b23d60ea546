"""The landscape along the gradient: what is measured against a plain loop, what is said of it."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import probe_record
from torch import nn

from normbench.calculus.line import along_gradient
from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.landscape import Landscape, Lines, describe

CPU = torch.device("cpu")
STEP_SIZES = [0.1, 0.4]


def sgd(params, lr):
    return torch.optim.SGD(params, lr=lr)


def by_hand(plan, data, at):
    """Losses and changes of the gradient from a plain loop that moves the network's parameters."""
    torch.manual_seed(plan.seed)
    model = plan.model()
    optimizer = plan.optimizer(list(model.parameters()), lr=plan.lr)
    order = torch.Generator().manual_seed(plan.seed)
    losses, changes = [], []
    for step, index in enumerate(torch.randperm(50, generator=order).split(8)[: max(at) + 1]):
        x, labels = data.train.images[index].permute(0, 3, 1, 2) / 255, data.train.labels[index]

        def gradients(model=model, x=x, labels=labels):
            loss = F.cross_entropy(model(x), labels)
            return loss.item(), torch.autograd.grad(loss, list(model.parameters()))

        if step in at:
            here = [p.detach().clone() for p in model.parameters()]
            _, g = gradients()
            for eta in STEP_SIZES:
                with torch.no_grad():
                    for p, start, direction in zip(model.parameters(), here, g, strict=True):
                        p.copy_(start - eta * direction)
                loss, there = gradients()
                losses.append(loss)
                apart = [(a - b).square().sum() for a, b in zip(g, there, strict=True)]
                changes.append(math.sqrt(sum(apart)))
            with torch.no_grad():
                for p, start in zip(model.parameters(), here, strict=True):
                    p.copy_(start)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return np.array(losses).reshape(-1, 2), np.array(changes).reshape(-1, 2)


@pytest.mark.parametrize("norm", [nn.Identity, nn.BatchNorm2d])
def test_it_is_what_one_finds_by_moving_the_parameters(norm, plan, data):
    made = plan(norm, optimizer=sgd, lr=0.1)
    probe = Landscape(steps=5, every=2, step_sizes=STEP_SIZES)
    measured = finish(probe.measure(made, data, CPU)).measured
    assert measured["at"] == [0, 2, 4]
    losses, changes = by_hand(made, data, [0, 2, 4])
    np.testing.assert_allclose(measured["losses"], losses, rtol=1e-4)
    np.testing.assert_allclose(measured["gradient_changes"], changes, rtol=1e-3)


def test_of_a_quadratic_the_smoothness_is_its_curvature():
    curvature = 3.0
    x = torch.tensor([0.5, 0.0], dtype=torch.float64)
    line = along_gradient(lambda x: curvature / 2 * x @ x, x, STEP_SIZES)
    measured = {"step_sizes": STEP_SIZES, "at": [0]}
    measured |= {name: [v.tolist()] for name, v in line.items()}
    assert Lines(measured).smoothness == pytest.approx([curvature])
    # f = 3/2 x², g = 3 x: after steps of .1 and .4, x is .35 and -.1
    loss_range, change, relative, smoothness = describe(measured).values()
    assert loss_range == pytest.approx(1.5 * (0.35**2 - 0.1**2))
    assert change == pytest.approx(3 * 0.6) and relative == pytest.approx(3 * 0.6 / 1.5)
    assert smoothness == pytest.approx(curvature)


def test_numbers_that_are_not_finite_are_left_out_of_what_is_said():
    measured = {
        "step_sizes": STEP_SIZES,
        "at": [0, 2],
        "loss": [2.0, 2.0],
        "gradient_norm": [1.0, 2.0],
    }
    measured |= {"losses": [[1.0, None], [2.0, 4.0]], "gradient_changes": [[1.0, None], [1.0, 3.0]]}
    assert Lines(measured).smoothness == pytest.approx([10.0, 5.0])


def test_a_run_that_diverges_has_what_was_measured_before(plan, data):
    made = plan(lr=1e30, optimizer=sgd)
    probe = Landscape(every=3, step_sizes=STEP_SIZES)
    measurement = finish(probe.measure(made, data, CPU))
    assert measurement.status == "diverged" and measurement.measured["at"] == [0]


MEASURED = {
    "step_sizes": STEP_SIZES,
    "at": [0, 2],
    "gradient_norm": [1.0, 2.0],
    "losses": [[1.0, 2.0], [2.0, 4.0]],
    "gradient_changes": [[1.0, 2.0], [1.0, 30.0]],
}


def test_norms_that_differ_in_settings_only_can_be_told_apart_in_the_figure():
    one, other = (probe_record("landscape", MEASURED) for _ in range(2))
    layer = one["config"]["norm"]["layer"] | {"eps": 0.5}
    other["config"] = other["config"] | {"norm": one["config"]["norm"] | {"layer": layer}}
    lines = Landscape.draw([one, other]).axes[-1].lines
    assert len(lines) == 2 and len({line.get_color() for line in lines}) == 2


def test_no_band_hides_another_and_their_ends_are_lines():
    records = [
        probe_record("landscape", MEASURED, norm, seed)
        for norm in ("none", "batchnorm")
        for seed in (0, 1)
    ]
    *bands, smoothness = Landscape.draw(records).axes
    assert [ax.get_title("left") for ax in bands] == ["none", "", "batchnorm", ""]
    for ax in bands:
        assert len(ax.collections) == 1 and len(ax.lines) == 2
        assert ax.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in bands[0].lines] == [[1, 2], [2, 4]]
    low, high = bands[1].get_ylim()
    numbers = [n for n in bands[1].yaxis.get_majorticklocs() if low <= n <= high]
    assert len(numbers) >= 3
    assert [text.get_text() for text in smoothness.texts] == ["none", "batchnorm"]


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"every": 0}, "probe.every=0"),
        ({"every": 13}, "probe.every=13.*12"),
        ({"every": 5, "steps": 4}, "probe.every=5.*4"),
        ({"step_sizes": []}, "probe.step_sizes"),
        ({"step_sizes": [0.1, -0.1]}, "probe.step_sizes.*positive"),
    ],
)
def test_settings_that_do_not_fit(settings, culprit):
    probe = Landscape(**{"every": 2, "step_sizes": [0.1]} | settings)
    with pytest.raises(UserError, match=culprit):
        probe.check(nn.Identity(), 12)
