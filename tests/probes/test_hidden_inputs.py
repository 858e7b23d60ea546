"""Inputs of the last hidden activation, and saturation, against the network's own."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.models.mlp import MLP
from normbench.probes.hidden_inputs import HiddenInputs, drift

CPU = torch.device("cpu")


def mlp(scale=0.1, widths=(8, 8)):
    return MLP(nn.BatchNorm1d, 3, widths=widths, image_size=16, init_scale=scale)


def test_percentiles_are_those_of_the_last_sigmoids_inputs(plan, data):
    chosen = plan(model=mlp)
    measured = finish(HiddenInputs(times=2, images=31).measure(chosen, data, CPU)).measured
    assert measured["at"] == [0, 6, 12] and len(measured["val_accuracy"]) == 3
    training = Training(chosen, data, CPU)
    training.model.eval()
    with torch.no_grad():
        inputs = training.model.features[:-1](
            torch.flatten(training.inputs(data.val.images), 1)
        ).numpy()
    first = [line[0] for line in measured["unit"]]
    np.testing.assert_allclose(first, np.percentile(inputs[:, 0], [15, 50, 85]), rtol=1e-3)
    of_all = [line[0] for line in measured["units"]]
    np.testing.assert_allclose(of_all, np.percentile(inputs, [15, 50, 85]), rtol=1e-3)


@pytest.mark.parametrize(("scale", "low", "high"), [(1e-3, 0.0, 0.01), (100.0, 0.9, 1.0)])
def test_wide_weights_saturate_and_narrow_ones_do_not(plan, data, scale, low, high):
    model = lambda: MLP(nn.Identity, 3, widths=(8,), image_size=16, init_scale=scale)  # noqa: E731
    measured = finish(HiddenInputs(times=1, images=31).measure(plan(model=model), data, CPU))
    assert low <= measured.measured["saturated"][0] <= high


def test_drift_is_relative_to_the_distance_of_the_percentiles():
    steady = {"unit": [[-1, -1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1]]}
    moving = {"unit": [[-1, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4]]}
    assert drift(steady) == 0
    assert drift(moving) == pytest.approx(0.5)


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="no activation"):
        HiddenInputs(times=1, images=1).check(nn.Linear(1, 1), 5)
    with pytest.raises(UserError, match="^probe.times=9 "):
        HiddenInputs(times=9, images=1).check(nn.Sequential(nn.Sigmoid()), 5)
