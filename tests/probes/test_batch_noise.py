"""Noise of statistics: none without a norm, less in larger batches, smallest σ by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.errors import UserError
from normbench.norms import GhostBatchNorm
from normbench.probes.batch_noise import BatchNoise, statistics_size

CPU = torch.device("cpu")
PROBE = BatchNoise(batches=3, images=4, draws=6, loss_images=50)


def measured(plan, data, norm, **changes):
    return finish(PROBE.measure(plan(norm, **changes), data, CPU)).measured


def test_without_a_norm_there_is_no_noise(plan, data):
    found = measured(plan, data, nn.Identity)
    assert found["noise"] == pytest.approx(0, abs=1e-6)
    assert found["smallest"] == []


def test_smaller_batches_have_more_noise(plan, data):
    small, large = (
        measured(plan, data, nn.BatchNorm2d, batch_size=size, epochs=1) for size in (2, 24)
    )
    assert small["noise"] > large["noise"] > 0


def test_smallest_sigma_and_losses_are_those_of_the_network(plan, data):
    found = measured(plan, data, nn.BatchNorm2d)
    training = Training(plan(nn.BatchNorm2d), data, CPU)
    result = finish(run(training))
    assert found["val_loss"] == pytest.approx(result.epochs[-1]["val_loss"])
    conv, relu, norm = list(training.model.features)[:3]
    training.model.eval()
    expected = []
    with torch.no_grad():
        for batch in training.batches()[:3]:
            x = relu(conv(training.inputs(data.train.images[batch])))
            own = (x.var((0, 2, 3), correction=0) + norm.eps).sqrt()
            expected.append((own / (norm.running_var + norm.eps).sqrt()).min().item())
    assert found["smallest"][0] == pytest.approx(np.median(expected), rel=1e-4)
    loss = finish(training.evaluate(data.train))[0]
    assert found["train_loss"] == pytest.approx(loss, rel=1e-4)


def test_ghost_batches_are_looked_at_one_by_one(plan, data):
    ghosts = measured(plan, data, lambda c: GhostBatchNorm(c, size=2))
    whole = measured(plan, data, lambda c: GhostBatchNorm(c, size=8))
    assert np.mean(ghosts["smallest"]) < np.mean(whole["smallest"])
    record = {"config": {"norm": {"layer": {"size": 2}}}, "batch_size": 8}
    assert statistics_size(record) == 2


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.draws=1 "):
        BatchNoise(batches=1, images=1, draws=1, loss_images=1).check(nn.Identity(), 5)
