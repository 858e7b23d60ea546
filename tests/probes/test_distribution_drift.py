"""Drift: against means and variances of the network's own, step by step."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.probes.distribution_drift import DistributionDrift, drift

CPU = torch.device("cpu")


def behind():
    return CNN4(nn.BatchNorm2d, 3, widths=(8, 8), order="norm_relu")


def test_changes_are_those_between_two_steps(plan, data):
    chosen = plan(model=behind)
    measured = finish(DistributionDrift(steps=2).measure(chosen, data, CPU)).measured
    training = Training(chosen, data, CPU)
    batches, seen = training.batches(), []
    for layer in (training.model.features[2], training.model.features[5]):
        layer.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    training.model.train()
    for step in range(2):
        training.set_rates(step)
        training.step(batches[step])
        training.steps_done += 1
    changes = [
        [
            (seen[2 + layer].mean((0, 2, 3)) - seen[layer].mean((0, 2, 3))).abs().mean(),
            (
                seen[2 + layer].var((0, 2, 3), correction=0)
                - seen[layer].var((0, 2, 3), correction=0)
            ).abs().mean(),
        ]
        for layer in (0, 1)
    ]  # fmt: skip
    mean, variance = np.mean(changes, axis=0)
    assert measured["mean"] == [pytest.approx(mean, rel=1e-3, abs=1e-7)]
    assert measured["variance"] == [pytest.approx(variance, rel=1e-3, abs=1e-7)]


def test_a_network_that_stands_still_does_not_drift(plan, data):
    still = plan(nn.Identity, optimizer=lambda params, lr: torch.optim.SGD(params, lr=0.0))
    moving = plan(nn.Identity, lr=0.1)
    drifts = [
        drift({"measured": finish(DistributionDrift(steps=6).measure(p, data, CPU)).measured}, part)
        for p in (still, moving)
        for part in ("mean",)
    ]
    assert drifts[0] < drifts[1]  # of the batches alone, and of the weights, too


def test_a_network_without_activations_is_refused():
    with pytest.raises(UserError, match="no activation"):
        DistributionDrift().check(nn.Linear(1, 1), 5)
