"""The deep linear network."""

import pytest
import torch
from torch import nn

from normbench.models.deep_linear import DeepLinear
from normbench.norms import BatchNorm


def test_depth_counts_linear_layers_and_all_but_the_last_have_a_norm():
    network = DeepLinear(BatchNorm, depth=25)
    assert sum(isinstance(m, nn.Linear) for m in network.modules()) == 25
    assert sum(isinstance(m, BatchNorm) for m in network.modules()) == 24
    assert {type(m) for m in network.features} == {nn.Linear, BatchNorm}


def test_without_a_norm_it_is_linear_in_the_images():
    torch.manual_seed(0)
    network = DeepLinear(nn.Identity, image_size=4).double()
    x, y, zero = *torch.randn(2, 3, 3, 4, 4, dtype=torch.float64), torch.zeros(3, 3, 4, 4).double()
    both = network(2 * x - 3 * y) - network(zero)
    expected = 2 * (network(x) - network(zero)) - 3 * (network(y) - network(zero))
    torch.testing.assert_close(both, expected)


def test_its_initialization_keeps_the_variance_through_all_layers():
    torch.manual_seed(0)
    network = DeepLinear(nn.Identity, depth=25, width=256, image_size=16)
    assert 0.3 < network.features(torch.randn(64, 3, 16, 16).flatten(1)).var() < 3


@pytest.mark.parametrize("settings", [{"depth": 1}, {"width": 0}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        DeepLinear(nn.Identity, **settings)
