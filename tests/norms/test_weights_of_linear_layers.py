"""Weights of linear layers are reparametrized where a network has no convolution."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import is_parametrized

from normbench.norms import (
    Deconvolution,
    Norm,
    WeightStandardization,
    scaled_weight_standardization,
    spectral_norm,
    weight_norm,
)
from normbench.norms.norm import weighted_layers

WAYS = [WeightStandardization, scaled_weight_standardization, weight_norm, spectral_norm]


def standardized(w):
    centered = w - w.mean(1, keepdim=True)
    return centered / (centered.square().mean(1, keepdim=True) + 1e-5).sqrt()


def linear(inputs=12, outputs=7):
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs, dtype=torch.float64)


def norm(weight):
    return Norm(layer=lambda channels: nn.Identity(), weight=weight)


def test_each_row_is_a_filter():
    w = linear().weight.detach()
    torch.testing.assert_close(WeightStandardization()(w), standardized(w))
    scaled = scaled_weight_standardization(linear(), gamma=2.0, eps=1e-5).weight
    torch.testing.assert_close(scaled, standardized(w) * 2 / 12**0.5)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(weight_norm, parametrizations.weight_norm), (spectral_norm, parametrizations.spectral_norm)],
)
def test_it_computes_what_torchs_own_does(ours, theirs):
    x = torch.randn(5, 12, dtype=torch.float64)
    outcomes = []
    for register in (ours, theirs):
        torch.manual_seed(1)  # of the power iteration's start
        layer = register(linear())
        y = layer(x)
        outcomes.append((y, *torch.autograd.grad(y.square().sum(), layer.bias)))
    torch.testing.assert_close(*outcomes)


@pytest.mark.parametrize("weight", WAYS, ids=lambda f: f.__name__)
def test_all_linear_layers_but_the_last_are_reparametrized(weight):
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    norm(weight).reparametrize(network)
    assert [is_parametrized(network[i]) for i in (0, 2, 4)] == [True, True, False]
    network(torch.randn(2, 4)).sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("weight", WAYS, ids=lambda f: f.__name__)
def test_where_there_are_convolutions_it_is_these_alone(weight):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 3))
    norm(weight).reparametrize(network)
    assert [is_parametrized(network[i]) for i in (0, 2, 3)] == [True, False, False]
    assert list(weighted_layers(network)) == ["0"]


def test_a_network_with_nothing_to_act_on_is_refused_in_one_line():
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="the network has neither"):
        norm(weight_norm).reparametrize(network)
    whitening = Norm(layer=lambda channels: nn.Identity(), convolution=Deconvolution)
    with pytest.raises(ValueError, match="replaces convolutions, and the network has none"):
        whitening.replace_convolutions(network)
