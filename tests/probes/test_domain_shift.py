"""Shifts against their formulas, and what a network makes of them against the network itself."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.domain_shift import DomainShift, blurred

SETTINGS = {"contrast": 0.3, "brightness": 0.3, "blur": 1.5, "noise": 0.1, "batch_size": 8}


def test_contrast_brightness_and_noise_are_those_of_the_formulas():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    shifts = DomainShift(**SETTINGS).shifts(seed=0)
    assert torch.equal(shifts["clean"](x), x)
    low = shifts["contrast"](x)
    assert torch.allclose(low.mean((2, 3)), x.mean((2, 3)), atol=1e-6)
    assert torch.allclose(low.std((2, 3)), 0.3 * x.std((2, 3)), atol=1e-6)
    assert torch.allclose(shifts["brightness"](x), torch.relu(x - 0.3))
    noise = shifts["noise"](torch.full((4, 3, 64, 64), 0.5)) - 0.5
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)


def test_blur_is_a_gaussian_filter():
    x = torch.rand(1, 3, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = gaussian_filter(x.numpy(), (0, 0, 1.5, 1.5), mode="nearest", radius=(0, 0, 5, 5))
    np.testing.assert_allclose(blurred(x, 1.5).numpy(), expected, rtol=1e-6)


def test_accuracy_is_that_of_the_trained_network_and_nothing_changes_without_a_norm(plan, data):
    probe = DomainShift(**SETTINGS)
    measured = finish(probe.measure(plan(nn.Identity), data, torch.device("cpu"))).measured
    assert measured["shifts"] == ["clean", "contrast", "brightness", "blur", "noise"]
    assert measured["accuracy"]["eval"] == measured["accuracy"]["batch"]  # nothing to tell them by
    assert measured["logit_change"][0] == 0 and measured["overshoot"][0] == 1
    assert all(change > 0 for change in measured["logit_change"][1:])


def test_the_batchs_statistics_see_no_contrast(plan, data):
    class PerImage(nn.Module):  # each image's own channels, as if it were the batch
        def __init__(self, channels):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(channels))

        def forward(self, x):
            mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True)
            return (x - mean) / (var + 1e-12).sqrt()

    class First(nn.Module):
        """A network whose first layer is the norm: contrast cannot get past it."""

        def __init__(self):
            super().__init__()
            self.norm, self.conv, self.head = PerImage(3), nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.conv(self.norm(x)).mean((2, 3)))

    probe = DomainShift(**SETTINGS | {"steps": 1})
    measured = finish(probe.measure(plan(model=First), data, torch.device("cpu"))).measured
    assert measured["logit_change"][1] == pytest.approx(0, abs=1e-3)
    assert measured["overshoot"][1] == pytest.approx(1, abs=1e-3)


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.batch_size=1 "):
        DomainShift(**SETTINGS | {"batch_size": 1}).check(nn.Identity(), 5)
