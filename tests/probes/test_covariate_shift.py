"""Covariate shift: which update is meant, and which networks have one."""

import numpy as np
import pytest
import torch
from drawn import caption_of
from made_up import probe_record
from torch import nn

from normbench.engine.optimizers import Ranger
from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.norms import RunningBatchNorm
from normbench.probes.covariate_shift import CovariateShift, describe

CPU = torch.device("cpu")


def measure(made, data, **settings):
    probe = CovariateShift(**{"every": 2, "steps": 5} | settings)
    return finish(probe.measure(made, data, CPU)).measured


@pytest.mark.parametrize("norm", [nn.Identity, nn.BatchNorm2d, RunningBatchNorm])
def test_the_update_is_the_runs_own_which_for_plain_sgd_is_a_gradient_step(norm, plan, data):
    made = plan(norm, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr), lr=0.3)
    own, gradient_step = measure(made, data), measure(made, data, step_size=0.3)
    assert own["layers"] == ["features.3", "head"] and own["at"] == [0, 2, 4]
    for name in ("norm_before", "norm_after", "difference", "cosine"):
        np.testing.assert_allclose(own[name], gradient_step[name], rtol=0.02)
    assert np.min(own["difference"]) > 0


def test_another_optimizer_makes_another_update(plan, data):
    made = plan(optimizer=Ranger)
    own, gradient_step = measure(made, data), measure(made, data, step_size=made.lr)
    assert own["norm_before"] == gradient_step["norm_before"]
    assert own["difference"] != gradient_step["difference"]


def test_what_is_said_is_an_average_over_layers_and_steps():
    measured = {
        "layers": ["a", "b"], "at": [0, 2],
        "norm_before": [[1, 2], [4, 8]], "norm_after": [[1, 2], [4, 8]],
        "difference": [[1, 4], [1, 4]], "cosine": [[1, 0], [0.5, 0.5]],
    }  # fmt: skip
    assert describe(measured) == pytest.approx(
        {"difference": 2, "relative difference": 0.5**0.5, "cosine": 0.5}
    )


def test_a_network_of_one_layer_has_none():
    CovariateShift(every=1).check(CNN4(nn.Identity, 3, widths=(4,)), 12)
    with pytest.raises(UserError, match="^the model Sequential has no two layers"):
        CovariateShift(every=1).check(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), 12)
    with pytest.raises(UserError, match="probe.step_size=.*positive"):
        CovariateShift(every=1, step_size=-1.0).check(CNN4(nn.Identity, 3, widths=(4,)), 12)


def test_the_panels_are_of_layers_that_one_can_find_and_every_seed_is_in_them():
    names = ("norm_before", "norm_after", "difference", "cosine")
    records = [
        probe_record(
            "covariate_shift",
            {"layers": ["features.3", "head"], "at": [0, 5]}
            | {name: [[1 + seed, 2], [3, 4]] for name in names},
            norm,
            seed,
        )
        for norm in ("none", "batchnorm")
        for seed in (0, 1)
    ]
    figure = CovariateShift.draw(records)
    assert [ax.get_title("left") for ax in figure.axes[:2]] == ["convolution 2", "linear"]
    cosine = figure.axes[2]
    assert cosine.lines[0].get_ydata().tolist() == [1.5, 3]
    assert len(cosine.collections) == 2
    assert "over 2 seeds" in caption_of(figure)
