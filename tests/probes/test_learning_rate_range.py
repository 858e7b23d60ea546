"""Which learning rates train."""

import math

import numpy as np
import pytest
import torch

from normbench.engine.training import finish
from normbench.probes.learning_rate_range import (
    LearningRateRange,
    highest_that_trains,
    losses_by_rate,
)

CPU = torch.device("cpu")


def measure(plan, data, lr, **changes):
    made = plan(lr=lr, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr), **changes)
    return finish(LearningRateRange(margin=0.1).measure(made, data, CPU))


def test_the_loss_is_the_mean_of_the_last_tenth_of_the_steps(plan, data):
    losses = []

    class Listening(LearningRateRange):
        def watch(self, run):
            for step in range(run.steps):
                yield step
                losses.append(run.loss(run.batch).item())
            return {}

    def made():
        return plan(lr=0.1, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr), epochs=4)

    finish(Listening(margin=0.1).measure(made(), data, CPU))
    measured = finish(LearningRateRange(margin=0.1).measure(made(), data, CPU)).measured
    assert len(losses) == 24
    assert measured["loss"] == pytest.approx(np.mean(losses[-3:]), rel=1e-4)
    assert measured["guessing"] == pytest.approx(math.log(3), rel=1e-4)
    assert 0 <= measured["val_accuracy"] <= 1


def test_a_run_that_diverges_has_no_loss(plan, data):
    measurement = measure(plan, data, 1e30)
    assert measurement.status == "diverged"
    assert measurement.measured["loss"] is measurement.measured["val_accuracy"] is None


def test_the_highest_rate_that_trains_is_one_where_every_seed_does():
    def record(lr, seed, loss):
        return {
            "lr": lr, "seed": seed, "measured": {"loss": loss, "guessing": 2.3},
            "config": {"probe": {"margin": 0.1}},
        }  # fmt: skip

    group = [record(0.1, 0, 2.0), record(0.1, 1, 2.1), record(1.0, 0, 1.5), record(1.0, 1, 2.25)]
    group += [record(10.0, 0, None), record(10.0, 1, 1.0)]
    assert highest_that_trains(group) == 0.1
    assert highest_that_trains(group[4:5]) is not None
    assert math.isnan(highest_that_trains(group[4:]))
    rates, losses = losses_by_rate(group)
    np.testing.assert_array_equal(rates, [0.1, 1.0, 10.0])
    np.testing.assert_allclose(losses, [2.05, 1.875, np.nan])
