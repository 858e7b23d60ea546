"""Identities hold on a small network, and an error that is put in is found."""

import copy

import pytest
import scipy.stats
import torch
from torch import nn

from normbench.engine.training import finish
from normbench.models.cnn4 import CNN4
from normbench.probes import identities
from normbench.probes.identities import SENTENCES, Identities

CPU = torch.device("cpu")


@pytest.mark.parametrize("order", ["relu_norm", "norm_relu"])
def test_all_hold_on_a_trained_network(plan, data, order):
    model = lambda: CNN4(nn.BatchNorm2d, 3, widths=(8, 8), order=order)  # noqa: E731
    measured = finish(Identities().measure(plan(model=model), data, CPU)).measured
    assert set(measured["errors"]) == set(SENTENCES)
    assert max(measured["errors"].values()) < 1e-6
    assert len(measured["skew"]) == len(measured["kurtosis"]) == 2


def test_a_network_without_batchnorm_has_its_growth_alone(plan, data):
    measured = finish(Identities().measure(plan(nn.Identity), data, CPU)).measured
    assert measured["errors"] == {} and measured["skew"] == []
    assert measured["growth"] > 0


@pytest.fixture
def network():
    torch.manual_seed(0)
    return (
        CNN4(nn.BatchNorm2d, 3, widths=(8, 8)).double(),
        torch.randn(16, 3, 16, 16, dtype=torch.float64),
        torch.randint(0, 3, (16,)),
    )


def test_a_norm_that_is_none_breaks_them(network):
    model, inputs, labels = network

    class Wrong(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) + 0.1 * x

    wrong = copy.deepcopy(model)
    wrong.features[2] = Wrong(8).double()
    assert identities.undone(copy.deepcopy(wrong), inputs, labels)["undone"] > 1e-2
    assert identities.weights_scaled(wrong, inputs, labels)["scale"] > 1e-2
    found = identities.input_gradients(wrong, inputs, labels)
    assert found["orthogonal_to_1"] > 1e-6 and found["orthogonal_to_x"] > 1e-6


def test_moments_are_scipys():
    x = torch.rand(40, 2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[:, 1] = x[:, 1] ** 4
    flat = x.transpose(0, 1).flatten(1).numpy()
    expected = (
        abs(scipy.stats.skew(flat, axis=1)).mean(),
        abs(scipy.stats.kurtosis(flat, axis=1)).mean(),
    )
    assert identities._moments(x) == pytest.approx(expected, rel=1e-6)


def test_growth_of_a_convolution_that_multiplies():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, bias=False)
            nn.init.constant_(self.conv.weight, 2.0)

        def forward(self, x):
            return self.conv(x)

    assert identities.growth(Twice(), torch.randn(4, 1, 3, 3), torch.zeros(4)) == pytest.approx(2)
