"""Fully connected layers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normbench.models.mlp import MLP
from normbench.norms import BatchNorm


def test_it_is_the_papers_network_where_its_settings_are():
    network = MLP(BatchNorm, widths=[100, 100, 100], in_channels=1)
    kinds = [type(m) for m in network.features]
    assert kinds == [nn.Linear, BatchNorm, nn.Sigmoid] * 3
    widths = [(m.in_features, m.out_features) for m in network.modules() if type(m) is nn.Linear]
    assert widths == [(784, 100), (100, 100), (100, 100), (100, 10)]


def test_it_computes_what_its_layers_do_one_after_another():
    torch.manual_seed(0)
    network = MLP(nn.Identity, widths=[7, 5], activation="tanh", image_size=4)
    first, second, head = (m for m in network.modules() if isinstance(m, nn.Linear))
    x = torch.randn(3, 3, 4, 4).to(memory_format=torch.channels_last)
    h = torch.tanh(F.linear(x.reshape(3, -1), first.weight, first.bias))
    h = torch.tanh(F.linear(h, second.weight, second.bias))
    torch.testing.assert_close(network(x), F.linear(h, head.weight, head.bias))


def test_the_norm_may_stand_after_the_activation():
    kinds = [type(m) for m in MLP(BatchNorm, order="relu_norm").features]
    assert kinds == [nn.Linear, nn.Sigmoid, BatchNorm] * 3


def test_linear_layers_have_a_bias_where_nothing_else_shifts():
    def biases(norm_layer):
        return [m.bias is not None for m in MLP(norm_layer).features if isinstance(m, nn.Linear)]

    assert biases(nn.Identity) == [True] * 3
    assert biases(BatchNorm) == [False] * 3


def test_without_hidden_layers_it_is_softmax_regression():
    network = MLP(nn.Identity, widths=[], image_size=4)
    x = torch.randn(3, 3, 4, 4)
    torch.testing.assert_close(network(x), network.head(x.flatten(1)))


@pytest.mark.parametrize("settings", [{"widths": [0]}, {"order": "sigmoid_norm"}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        MLP(nn.Identity, **settings)
