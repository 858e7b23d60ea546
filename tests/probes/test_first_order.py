"""The foretold change of the loss: exact for a loss that is a plane, wrong as the formula says."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.probes.first_order import FirstOrder, error, relative_errors

CPU = torch.device("cpu")


def sgd(params, lr):
    return torch.optim.SGD(params, lr=lr)


def test_change_and_prediction_are_those_of_the_step_that_is_taken(plan, data):
    chosen = plan(nn.BatchNorm2d, optimizer=sgd)
    measured = finish(FirstOrder(every=3).measure(chosen, data, CPU)).measured
    assert measured["at"] == [0, 3, 6, 9]
    training = Training(chosen, data, CPU)
    batch = training.batches()[0]
    training.model.train()
    inputs, labels = training.inputs(data.train.images[batch]), data.train.labels[batch]

    def loss():
        return nn.functional.cross_entropy(training.model(inputs), labels)

    before = loss()
    gradients = torch.autograd.grad(before, list(training.model.parameters()))
    rate = training.schedule.lr[0]
    foretold = -rate * sum(g.square().sum() for g in gradients).item()
    training.set_rates(0)
    training.step(batch)
    assert measured["foretold"][0] == pytest.approx(foretold, rel=1e-3)
    assert measured["change"][0] == pytest.approx((loss() - before).item(), rel=1e-2)


def test_small_steps_are_foretold_and_long_ones_are_not(plan, data):
    errors = []
    for rate in (1e-3, 1.0):
        found = finish(
            FirstOrder(every=1, steps=3).measure(plan(optimizer=sgd, lr=rate), data, CPU)
        )
        errors.append(error({"measured": found.measured}))
    assert errors[0] < 0.1 < errors[1]


def test_a_step_without_a_slope_has_no_error():
    found = relative_errors({"change": [1.0, 0.5, None], "foretold": [0.0, 1.0, 1.0]})
    assert np.isnan(found[0]) and found[1] == 0.5 and np.isnan(found[2])


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.every=9 "):
        FirstOrder(every=9).check(nn.Identity(), 5)
