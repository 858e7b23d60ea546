"""Errors of statistics in a precision, against numpy's float64."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.half_precision import HalfPrecision, errors


def test_errors_are_those_of_each_rounded_operation():
    x = (torch.randn(1, 300, generator=torch.Generator().manual_seed(0)) + 50).half()
    exact = x.double().numpy()
    mean = np.float16(x.float().numpy().mean())
    deviations = (x.numpy() - mean).astype(np.float16)
    squares = (deviations * deviations).astype(np.float16)
    variance = np.float16(squares.astype(np.float32).mean())
    found = errors(x, 1e-5)
    assert found[0] == pytest.approx(abs(float(mean) / exact.mean() - 1), rel=1e-6)
    assert found[1] == pytest.approx(abs(float(variance) / exact.var() - 1), rel=1e-6)
    assert found[2] > 1e-3


def test_float64_has_no_error():
    x = torch.randn(3, 300, dtype=torch.float64) + 1000
    assert max(errors(x, 1e-5)) < 1e-9


def test_errors_of_fp16_grow_with_the_mean_and_those_of_fp32_stay_small(plan, data):
    probe = HalfPrecision(means=[1.0, 50.0], samples=500, channels=4, eps=1e-5)
    measured = finish(probe.measure(plan(), data, torch.device("cpu"))).measured
    assert measured["fp16"][2][1] > 5 * measured["fp16"][2][0]
    assert max(max(line) for line in measured["fp32"]) < 1e-4
    with pytest.raises(UserError, match="^probe.samples=1 "):
        HalfPrecision(means=[1.0], samples=1, channels=4, eps=1e-5).check(nn.Identity(), 5)
