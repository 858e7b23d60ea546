"""Outputs of convolutions: against the network's own, in training mode, without a trace."""

import numpy as np
import pytest
import torch
from drawn import caption_of, legend_of, shades_of
from made_up import probe_record
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


def drawn(*of_seeds):
    """What is drawn of runs, given the looks of each: mean, std and percentiles all say that."""
    records = []
    for seed, looks in enumerate(of_seeds):
        line = np.array(looks, dtype=float)
        measured = {
            "layers": ["features.0", "features.3"],
            "at": [5 * i for i in range(len(line))],
            "mean": [line.tolist(), (line + 1).tolist()],
            "std": [line.tolist(), (line + 1).tolist()],
            "percentiles": [[(line + p).tolist() for p in range(5)]] * 2,
        }
        records.append(probe_record("activations", measured, "none", seed))
    return Activations.draw(records), Activations.summarize(records)


def test_every_seed_is_drawn_and_layers_have_names_that_one_can_read():
    figure, text = drawn([1, 2, 3], [3, 4, 5])
    mean, std, percentiles = figure.axes
    for ax in (mean, std):
        assert [line.get_ydata().tolist() for line in ax.lines] == [[2, 3, 4], [3, 4, 5]]
        assert shades_of(ax)[0] == (1, 5)
    assert percentiles.lines[0].get_ydata().tolist() == [4, 5, 6]
    assert percentiles.get_ylabel() == "percentiles of\nconvolution 2"
    assert legend_of(figure) == [
        "convolution 1", "convolution 2"
    ]  # fmt: skip
    assert "over 2 seeds" in caption_of(figure)
    assert "| convolution 2 |" in text and "features" not in text


def test_a_run_that_diverged_is_drawn_as_far_as_it_went():
    figure, _ = drawn([1, 2, 3], [3])
    assert figure.axes[0].lines[0].get_ydata().tolist() == [2, 2, 3]
