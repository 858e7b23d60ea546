"""ε-sharpness against quadratics whose maximum in a box is known."""

import pytest
import torch
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.sharpness import Sharpness, epsilon_sharpness

SETTINGS = {"level": 100.0, "every": 2, "epsilon": 1e-3, "ascent": 10, "images": 20}


@pytest.mark.parametrize("curvature", [1.0, 50.0])
def test_of_a_quadratic_it_is_at_a_corner_of_the_box(curvature):
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    weights = curvature * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def loss(y):
        return 0.5 * (weights * y.square()).sum()

    corner = x + 0.01 * (x.abs() + 1) * x.sign()
    expected = 100 * (loss(corner) - loss(x)) / (1 + loss(x))
    sharpness, value = epsilon_sharpness(loss, x, 0.01, 10)
    assert sharpness == pytest.approx(expected.item())
    assert value == pytest.approx(loss(x).item())


def test_it_is_measured_where_the_loss_reaches_the_level_and_at_the_end(plan, data):
    measured = finish(Sharpness(**SETTINGS).measure(plan(), data, torch.device("cpu"))).measured
    assert measured["reached"] == 2  # at the first look, as the level is high
    assert measured["matched"] > 0 and measured["last"] > 0
    assert 0 <= measured["matched_accuracy"] <= 1


def test_a_level_that_is_never_reached_leaves_no_number(plan, data):
    probe = Sharpness(**SETTINGS | {"level": 1e-9})
    measured = finish(probe.measure(plan(), data, torch.device("cpu"))).measured
    assert measured["reached"] is None and measured["matched"] is None
    assert measured["last"] > 0


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.ascent=0 "):
        Sharpness(**SETTINGS | {"ascent": 0}).check(nn.Identity(), 5)
