"""Gradient norms: against autograd, without a trace in the run, and what is said about them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import caption_of, legend_of, shades_of
from made_up import probe_record
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.models.cnn4 import CNN4
from normbench.norms import RunningBatchNorm, WeightStandardization
from normbench.norms.norm import Norm
from normbench.probes.gradients import Gradients, describe

CPU = torch.device("cpu")


def standardized():
    model = CNN4(RunningBatchNorm, 3, widths=(8, 8))
    Norm(RunningBatchNorm, WeightStandardization).reparametrize(model)
    return model


def by_autograd(plan, data, steps):
    """Norms (layers, steps) from a plain loop over the batches that a run takes."""
    torch.manual_seed(plan.seed)
    model = plan.model()
    optimizer = plan.optimizer(list(model.parameters()), lr=plan.lr)
    order = torch.Generator().manual_seed(plan.seed)
    weights = [p for name, p in model.named_parameters() if p.dim() == 4]
    norms = []
    for index in torch.randperm(50, generator=order).split(8)[:steps]:
        x = data.train.images[index].permute(0, 3, 1, 2) / 255
        loss = F.cross_entropy(model(x), data.train.labels[index])
        optimizer.zero_grad()
        gradients = torch.autograd.grad(loss, weights, retain_graph=True)
        norms.append([g.double().square().sum().sqrt().item() for g in gradients])
        loss.backward()
        optimizer.step()
    return np.array(norms).T


@pytest.mark.parametrize(
    "changes", [{}, {"norm": nn.Identity}, {"model": standardized}], ids=["bn", "none", "ws"]
)
def test_norms_are_those_of_autograd_on_the_same_batches(plan, data, changes):
    made = plan(**changes, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    measured = finish(Gradients(steps=6).measure(made, data, CPU)).measured
    assert measured["layers"] == ["features.0", "features.3"]
    np.testing.assert_allclose(measured["norms"], by_autograd(made, data, 6), rtol=1e-3)


def test_a_loss_scale_does_not_show(plan, data):
    full = finish(Gradients(steps=3).measure(plan(), data, CPU)).measured
    half = finish(Gradients(steps=3).measure(plan(precision="fp16"), data, CPU)).measured
    np.testing.assert_allclose(half["norms"], full["norms"], rtol=0.1)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, RunningBatchNorm])
def test_the_run_is_the_same_with_and_without(plan, data, norm):
    alone = Training(plan(norm), data, CPU)
    finish(run(alone))
    seen = []

    class Kept(Gradients):
        def watch(self, run):
            seen.append(run.training)
            return super().watch(run)

    finish(Kept().measure(plan(norm), data, CPU))
    expected, actual = alone.model.state_dict(), seen[0].model.state_dict()
    assert all(torch.equal(value, actual[name]) for name, value in expected.items())


def test_what_is_said_about_norms_with_a_known_course():
    steps = np.arange(200)
    line = np.where(steps < 50, 10.0, np.where(steps < 100, 1.0, 4.0))
    said = describe(np.stack([line, 9 * line]))
    assert said["start"] == pytest.approx(30)
    assert said["drop"] == pytest.approx(10) and said["rise"] == pytest.approx(4)
    assert said["level"] == pytest.approx(12) and said["peak"] == pytest.approx(2.5)
    assert said["spread"] == pytest.approx(9)
    assert said["change"] == pytest.approx(1)
    line[150::10] *= 5
    assert describe(line[None])["spikes"] == pytest.approx(5)


def test_norms_that_are_no_numbers_are_left_out():
    line = np.full((2, 40), 3.0)
    line[:, 20:] = np.nan
    assert describe(line)["start"] == pytest.approx(3)
    assert describe(np.full((2, 1), 2.0))["level"] == pytest.approx(2)


def drawn(layers, seeds=(0,)):
    names = [f"features.{3 * i}" for i in range(layers)]
    norms = np.random.default_rng(0).lognormal(size=(layers, 30))
    records = [
        probe_record("gradients", {"layers": names, "norms": (norms + seed).tolist()}, norm, seed)
        for norm in ("none", "batchnorm")
        for seed in seeds
    ]
    return Gradients.draw(records)


def test_every_seed_is_drawn_and_not_the_first_alone():
    figure = drawn(3, seeds=(0, 1, 2))
    assert [len(ax.lines) for ax in figure.axes] == [3, 3]
    assert [len(ax.collections) for ax in figure.axes] == [3, 3]
    low, high = shades_of(figure.axes[0])[0]
    assert high - low > 2, "the seeds are 2 apart"
    assert "over 3 seeds" in caption_of(figure) and "seeds 0, 1, 2" in caption_of(figure)
    lines = drawn(3, seeds=(0,)).axes[0].lines
    assert figure.axes[0].lines[0].get_ydata().min() > lines[1].get_ydata().min()


def test_few_layers_are_all_named_and_every_step_is_drawn():
    figure = drawn(3)
    assert [len(ax.lines) for ax in figure.axes] == [6, 6]
    assert legend_of(figure) == ["convolution 1", "convolution 2", "convolution 3"]
    assert "thin: every step" in caption_of(figure)


def test_many_layers_are_drawn_in_parts():
    figure = drawn(20)
    assert [len(ax.lines) for ax in figure.axes] == [10, 10]  # each and its thin one
    assert legend_of(figure)[0] == "convolutions 1 to 4" and len(legend_of(figure)) == 5
    assert "several in a row" in caption_of(figure)
