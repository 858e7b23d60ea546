"""Second moments of the first layer's inputs, against numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.inputs import Inputs, second_moments


def test_those_of_a_linear_layer_are_of_whole_images():
    x = torch.randn(20, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    flat = np.hstack([x.flatten(1).double().numpy(), np.ones((20, 1))])
    found = second_moments(nn.Linear(4, 3), x)
    np.testing.assert_allclose(found.numpy(), flat.T @ flat / 20)


def test_those_of_a_convolution_are_of_patches():
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    patches = [
        np.append(x[n, :, i : i + 3, j : j + 3].double().numpy().ravel(), 1.0)
        for n in range(2) for i in range(3) for j in range(3)
    ]  # fmt: skip
    expected = np.mean([np.outer(p, p) for p in patches], axis=0)
    np.testing.assert_allclose(second_moments(nn.Conv2d(3, 4, 3), x).numpy(), expected)


def test_inputs_around_zero_are_better_conditioned(plan, data):
    found = []
    for mean in (0.0, 0.3):
        chosen = plan(mean=(mean,) * 3, std=(0.2,) * 3)
        probe = Inputs(images=30, floor=1e-9)
        found.append(finish(probe.measure(chosen, data, torch.device("cpu"))).measured)
    raw, centered = found
    assert raw["condition"] > centered["condition"] > 1
    assert raw["eigenvalues"] == sorted(raw["eigenvalues"], reverse=True)


def test_a_network_without_layers_is_refused():
    with pytest.raises(UserError, match="no convolution"):
        Inputs(images=1, floor=0.0).check(nn.Identity(), 1)
