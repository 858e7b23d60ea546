"""Learning-rate tables against torch's schedulers and worked values."""

import numpy as np
import pytest
import torch

from normbench.engine.schedules import constant, flat_cosine, one_cycle


def test_constant_never_changes():
    assert constant(5, 0.1).lr.tolist() == [0.1] * 5


def test_flat_cosine_is_flat_then_half_a_cosine_to_zero():
    lr = flat_cosine(1000, 0.2, flat=0.75).lr
    assert (lr[:750] == 0.2).all()
    assert lr[875] == pytest.approx(0.1)
    assert 0 < lr[-1] < 1e-4 * 0.2
    assert (np.diff(lr[750:]) < 0).all()


def test_one_cycle_is_torchs_one_cycle():
    steps, peak = 200, 0.3
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, steps, pct_start=0.25 + 0.75 / steps, div_factor=25,
        final_div_factor=4000, base_momentum=0.85, max_momentum=0.95,
    )  # fmt: skip
    theirs = []
    for _ in range(steps):
        theirs.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        scheduler.step()
    ours = one_cycle(steps, peak, 0.25, 1 / 25, 1 / 100_000, [0.95, 0.85, 0.95])
    np.testing.assert_allclose(ours.lr, [lr for lr, _ in theirs], rtol=0, atol=0.003 * peak)
    np.testing.assert_allclose(ours.momentum, [m for _, m in theirs], rtol=0, atol=0.001)
    assert ours.lr.argmax() == pytest.approx(0.25 * steps, abs=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: flat_cosine(10, 0.1, flat=1.5),
        lambda: one_cycle(10, 0.1, warmup=-1),
        lambda: one_cycle(10, 0.1, momentum=[0.9]),
    ],
)
def test_shares_out_of_range_are_refused(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("make", [constant, flat_cosine, one_cycle])
def test_even_the_shortest_run_has_a_learning_rate(make, steps):
    lr = make(steps, 0.1).lr
    assert lr.shape == (steps,) and np.isfinite(lr).all() and (lr >= 0).all() and lr.max() > 0
