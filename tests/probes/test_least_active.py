"""Shares of positive inputs: of channels that are known to be off, or on."""

import pytest
import torch
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.probes.least_active import LeastActive, least_active


class Fixed(nn.Module):
    """Channels that are off, on, and positive for half of normal numbers."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        shift = torch.zeros(channels)
        shift[0], shift[1] = -100.0, 100.0
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, x):
        return self.norm(x) + self.shift


def test_channels_that_are_off_and_on_are_found(plan, data):
    model = lambda: CNN4(Fixed, 3, widths=(8, 8), order="norm_relu")  # noqa: E731
    measured = finish(LeastActive(last=3).measure(plan(model=model), data, torch.device("cpu")))
    assert measured.measured["layers"] == ["features.2", "features.5"]
    for shares, values in zip(
        measured.measured["shares"], measured.measured["values"], strict=True
    ):
        assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
        assert all(0.05 < share < 0.95 for share in shares[1:-1])
        assert values in (3 * 8 * 8 * 8, 3 * 8 * 4 * 4)
    floor = sum(0.5 / values for values in measured.measured["values"]) / 2
    assert least_active({"measured": measured.measured}) == pytest.approx(floor)


def test_a_network_without_a_relu_and_too_many_steps_are_refused():
    with pytest.raises(UserError, match=r"no torch.nn.ReLU"):
        LeastActive(last=1).check(nn.Linear(2, 2), 5)
    with pytest.raises(UserError, match="^probe.last=9 "):
        LeastActive(last=9).check(nn.Sequential(nn.ReLU()), 5)
