"""Company: what depends on it, what does not, and statistics over an epoch."""

import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.probes.companions import Companions, average_statistics
from normbench.probes.watching import Watched

CPU = torch.device("cpu")
SETTINGS = {"sizes": [2, 8], "images": 24, "draws": 6}


def measured(plan, data, norm):
    return finish(Companions(**SETTINGS).measure(plan(norm), data, CPU)).measured


def test_batchnorm_depends_on_company_in_training_mode_only(plan, data):
    found = measured(plan, data, nn.BatchNorm2d)
    small, large = found["changed"]["train"]
    assert small > large >= 0
    assert found["changed"]["eval"] == [0, 0]
    assert found["alone"] < 1e-5


def test_without_a_norm_nothing_depends_on_company(plan, data):
    found = measured(plan, data, nn.Identity)
    assert found["changed"] == {"train": [0, 0], "eval": [0, 0]}
    assert found["running"] == found["averaged"]


def test_averaged_statistics_are_the_means_over_an_epochs_batches(plan, data):
    training = Training(plan(nn.BatchNorm2d), data, CPU)
    run = Watched(training, 1)
    layer = next(m for m in training.model.modules() if isinstance(m, nn.BatchNorm2d))
    conv = next(m for m in training.model.modules() if isinstance(m, nn.Conv2d))
    training.order.manual_seed(5)
    batches = training.batches()
    with torch.no_grad():
        outputs = [conv(training.inputs(data.train.images[b])).relu() for b in batches]
    training.order.manual_seed(5)
    average_statistics(run)
    means = torch.stack([x.mean((0, 2, 3)) for x in outputs]).mean(0)
    variances = torch.stack([x.var((0, 2, 3)) for x in outputs]).mean(0)
    torch.testing.assert_close(layer.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.running_var, variances, rtol=1e-4, atol=1e-5)
    assert layer.momentum == 0.1


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.images=4 "):
        Companions(sizes=[8], images=4, draws=2).check(nn.Identity(), 5)
