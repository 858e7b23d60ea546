"""The Hessian of a run: on which images, in which mode, and what is said of it."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import caption_of, shades_of
from made_up import probe_record
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.probes.hessian import Hessian, Spectra

CPU = torch.device("cpu")


def probe(**changes):
    settings = {"times": 2, "images": 20, "mode": "train", "tolerance": 1e-4, "restarts": 100}
    return Hessian(**settings | {"trace_samples": 30} | changes)


def dense(model, x, labels):
    """The Hessian of the mean loss at a model's parameters, from autograd twice."""
    params = list(model.parameters())
    loss = F.cross_entropy(model(x), labels)
    gradient = torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, params, create_graph=True)]
    )
    rows = [torch.autograd.grad(g, params, retain_graph=True) for g in gradient]
    return loss.item(), torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_it_is_the_hessian_of_the_network_on_images_that_the_seed_draws(mode, plan, data):
    seen = []

    class Kept(Hessian):
        def _measure(self, run, batch):
            seen.append((copy.deepcopy(run.model), batch))
            return super()._measure(run, batch)

    made = plan(model=lambda: CNN4(nn.BatchNorm2d, 3, widths=(4, 2)))
    measured = finish(Kept(**vars(probe(mode=mode))).measure(made, data, CPU)).measured
    assert measured["at"] == [0, 12]
    drawn = torch.randperm(50, generator=torch.Generator().manual_seed(made.seed))[:20]
    for i, (model, batch) in enumerate(seen):
        assert torch.equal(batch, drawn) and model.training == (mode == "train")
        x = data.train.images[batch].permute(0, 3, 1, 2).double() / 255
        loss, hessian = dense(model.double(), x, data.train.labels[batch])
        eigenvalues = np.linalg.eigvalsh(hessian.detach().numpy())
        assert measured["loss"][i] == pytest.approx(loss, rel=1e-4)
        assert measured["largest"][i] == pytest.approx(eigenvalues[-1], rel=1e-3)
        assert measured["smallest"][i] == pytest.approx(eigenvalues[0], rel=1e-2)
        assert measured["largest_residual"][i] < 1e-3 * eigenvalues[-1]
        error = abs(measured["trace"][i] - hessian.trace().item())
        assert error < 5 * measured["trace_error"][i]


def test_what_does_not_converge_is_missing_and_the_rest_is_there(plan, data):
    measured = finish(
        probe(times=1, tolerance=1e-12, restarts=1).measure(plan(), data, CPU)
    ).measured
    assert measured["largest"] == measured["smallest_residual"] == [None]
    assert measured["trace"][0] is not None


def test_a_run_that_diverges_has_what_was_measured_before(plan, data):
    made = plan(lr=1e30, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    measurement = finish(probe(times=3).measure(made, data, CPU))
    assert measurement.status == "diverged" and measurement.measured["at"] == [0]


def test_a_batch_is_never_smaller_than_it_is_said_to_be(plan, data):
    with pytest.raises(UserError, match="probe.images=51 .* 50 training images"):
        finish(probe(images=51).measure(plan(), data, CPU))


def test_spectra_of_several_seeds():
    measured = {
        "at": [0, 6], "loss": [2, 1], "largest": [4.0, None], "smallest": [-1.0, None],
        "largest_residual": [0.1, None], "smallest_residual": [0.2, None],
        "trace": [1, 2], "trace_error": [0, 0],
    }  # fmt: skip
    values = Spectra(
        [{"measured": measured}, {"measured": {k: v[:1] for k, v in measured.items()}}]
    )
    np.testing.assert_equal(values.ratio, [[0.25, np.nan], [0.25, np.nan]])
    np.testing.assert_allclose(values.residual, [[0.05, np.nan], [0.05, np.nan]])


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"times": 0}, "probe.times=0"),
        ({"images": 0}, "probe.images=0"),
        ({"trace_samples": 1}, "probe.trace_samples=1.*2 or more"),
        ({"mode": "training"}, "probe.mode=training.*train or eval"),
        ({"tolerance": 0.0}, "probe.tolerance"),
        ({"steps": 13}, "probe.steps=13"),
    ],
)
def test_settings_that_do_not_fit(settings, culprit):
    with pytest.raises(UserError, match=culprit):
        probe(**settings).check(nn.Identity(), 12)


def drawn():
    """none and batchnorm with two seeds each; batchnorm's first ratio is far above all others."""
    records = []
    for norm, first in (("none", 0.2), ("batchnorm", 2.0)):
        for seed in (0, 1):
            measured = {
                "at": [0, 6], "loss": [2, 1], "largest": [4.0 + seed, 40.0],
                "smallest": [-first * (4.0 + seed), -0.8],
                "largest_residual": [0.1, 0.1], "smallest_residual": [0.2, 0.2],
                "trace": [-3.0 + 4 * seed, 200.0], "trace_error": [10.0, 10.0],
            }  # fmt: skip
            records.append(probe_record("hessian", measured, norm, seed))
    return Hessian.draw(records)


def test_the_spread_over_seeds_is_drawn():
    figure = drawn()
    for ax in figure.axes:
        assert len(ax.lines) >= 2 and len(ax.collections) == 2
    assert shades_of(figure.axes[0])[0] == (4, 40)
    assert "from the lowest to the highest" in caption_of(figure)


def test_a_first_point_far_off_does_not_flatten_the_rest():
    _, ratio, trace = drawn().axes
    assert ratio.get_yscale() == "log"
    assert trace.get_yscale() == "linear", "estimates of a trace can be negative"
    assert trace.get_ylim()[0] < -3
