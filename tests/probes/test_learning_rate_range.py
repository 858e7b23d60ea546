"""Which learning rates train."""

import math

import numpy as np
import pytest
import torch
from drawn import caption_of, rows_of
from made_up import probe_record

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


def drawn(losses):
    """Of norm -> learning rate -> the loss of each seed, None where it diverged."""
    records = [
        probe_record(
            "learning_rate_range",
            {"loss": loss, "guessing": 2.3, "val_loss": loss, "val_accuracy": 0.1},
            norm,
            seed,
            "diverged" if loss is None else "finished",
            lr,
        )
        for norm, rates in losses.items()
        for lr, of_rate in rates.items()
        for seed, loss in enumerate(of_rate)
    ]
    return LearningRateRange.draw(records)


LOSSES = {
    "none": {0.01: [1.9, 2.0], 0.1: [2.0, 2.29], 1.0: [None, None], 10.0: [None, 1e20]},
    "batchnorm": {0.01: [1.6, 1.8], 0.1: [1.5, 1.5], 1.0: [1.6, 5e9], 10.0: [None, None]},
}


def test_each_norm_has_a_row_that_says_which_seeds_train_and_none_hides_another():
    trained, _ = drawn(LOSSES).axes
    assert rows_of(trained) == list(LOSSES)
    rows = {}
    for line in trained.lines:
        (rate,), (row,) = line.get_xdata(), line.get_ydata()
        rows.setdefault(row, {})[rate] = line.get_fillstyle()
    assert rows == {
        0: {0.01: "full", 0.1: "left", 1.0: "none", 10.0: "none"},
        1: {0.01: "full", 0.1: "full", 1.0: "left", 10.0: "none"},
    }


def test_losses_are_drawn_as_measured_and_none_is_moved_to_the_edge():
    _, losses = drawn(LOSSES).axes
    means = {line.get_label(): line.get_ydata() for line in losses.lines}
    np.testing.assert_allclose(means["none"], [1.95, 2.145, np.nan, np.nan])
    np.testing.assert_allclose(means["batchnorm"], [1.7, 1.5, np.nan, np.nan])
    seeds = [line for line in losses.lines if line.get_markersize() == 3]
    assert sorted(seeds[1].get_ydata()) == [1.5, 1.5, 1.6, 1.6, 1.8]
    low, high = losses.get_ylim()
    assert low < 1.5 and 2.3 < high < 3


def test_steps_are_called_steps_and_not_epochs():
    caption = caption_of(drawn(LOSSES))
    assert "the first 73 steps of 3 epochs" in caption and "2 seeds" in caption


def test_a_figure_of_nothing_but_diverged_runs():
    trained, losses = drawn({"none": {0.1: [None]}}).axes
    assert [line.get_fillstyle() for line in trained.lines] == ["none"]
    assert losses.get_ylim()[1] > 2.3
