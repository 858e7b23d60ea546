"""Outputs of convolutions: against the network's own, in training mode, without a trace."""

import numpy as np
import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.errors import UserError
from normbench.norms import RunningBatchNorm
from normbench.probes.activations import PERCENTILES, Activations

CPU = torch.device("cpu")


def outputs(training, index):
    """Of both convolutions of the small network, layer by layer, in training mode."""
    x = training.data.train.images[index].permute(0, 3, 1, 2) / 255
    conv1, norm1, relu1, conv2 = list(training.model.train().features)[:4]
    with torch.no_grad():
        first = conv1(x)
        second = conv2(relu1(norm1(first)))
    return first.double().numpy(), second.double().numpy()


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, RunningBatchNorm, nn.Identity])
def test_looks_are_those_of_the_network_as_it_is_then(plan, data, norm):
    measured = finish(Activations(every=4).measure(plan(norm), data, CPU)).measured
    assert measured["layers"] == ["features.0", "features.3"]
    assert measured["at"] == [0, 4, 8, 12]
    assert np.shape(measured["percentiles"]) == (2, len(PERCENTILES), 4)

    for look, training in ((0, Training(plan(norm), data, CPU)), (3, trained(plan(norm), data))):
        index = torch.randperm(50, generator=torch.Generator().manual_seed(3))[:8]
        for layer, values in enumerate(outputs(training, index)):
            expected = [values.mean(), values.std(), *np.percentile(values, PERCENTILES)]
            found = [measured[part][layer][look] for part in ("mean", "std")]
            found += [line[look] for line in measured["percentiles"][layer]]
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


def trained(plan, data):
    training = Training(plan, data, CPU)
    finish(run(training))
    return training


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, RunningBatchNorm])
def test_the_run_is_the_same_with_and_without(plan, data, norm):
    kept = []

    class Kept(Activations):
        def watch(self, run):
            kept.append(run.training)
            return super().watch(run)

    finish(Kept(every=1).measure(plan(norm), data, CPU))
    expected = trained(plan(norm), data).model.state_dict()
    actual = kept[0].model.state_dict()
    assert all(torch.equal(value, actual[name]) for name, value in expected.items())


def test_percentiles_of_more_values_than_fit(plan, data, monkeypatch):
    monkeypatch.setattr("normbench.probes.activations.SAMPLE", 500)
    measured = finish(Activations(steps=1).measure(plan(), data, CPU)).measured
    whole = outputs(Training(plan(), data, CPU), torch.randperm(50, generator=order())[:8])[0]
    median = [line[0] for line in measured["percentiles"][0]][2]
    assert median == pytest.approx(np.median(whole), abs=0.1 * whole.std())


def order():
    return torch.Generator().manual_seed(3)


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.every=0 "):
        Activations(every=0).check(nn.Sequential(nn.Conv2d(1, 1, 1)), 5)
    with pytest.raises(UserError, match="no convolution"):
        Activations().check(nn.Linear(1, 1), 5)
