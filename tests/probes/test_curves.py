"""Curves over training are those of the run, and shares of an improvement are what they say."""

import pytest
import torch
from drawn import caption_of, rows_of
from made_up import probe_record
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.errors import UserError
from normbench.norms import BatchNorm, NoisyBatchNorm
from normbench.probes.ablation import KINDS, Ablation, shares
from normbench.probes.curves import Curves, at_end

CPU = torch.device("cpu")


@pytest.mark.parametrize("norm", [BatchNorm, NoisyBatchNorm, nn.Identity])
def test_what_is_measured_at_the_end_of_an_epoch_is_what_the_run_records(plan, data, norm):
    epochs = finish(run(Training(plan(norm), data, CPU))).epochs
    measured = finish(Curves(evaluations=2).measure(plan(norm), data, CPU)).measured
    assert measured["at"] == [0, 6, 12] and measured["train_loss"][0] is None
    for part in ("train_loss", "val_loss", "val_accuracy"):
        assert measured[part][1:] == pytest.approx([epoch[part] for epoch in epochs], rel=1e-12)


def test_the_training_loss_is_that_of_the_steps_since_the_last_look(plan, data):
    fine = finish(Curves(evaluations=12).measure(plan(), data, CPU)).measured
    coarse = finish(Curves(evaluations=3).measure(plan(), data, CPU)).measured
    for i, loss in enumerate(coarse["train_loss"][1:]):
        steps = fine["train_loss"][1 + 4 * i : 5 + 4 * i]
        assert loss == pytest.approx(sum(steps) / 4, rel=1e-9)


def test_noise_is_the_same_whether_it_is_watched_or_not(plan, data):
    kept = []

    class Kept(Curves):
        def watch(self, run):
            kept.append(run.training)
            return super().watch(run)

    finish(Kept(evaluations=12).measure(plan(NoisyBatchNorm), data, CPU))
    alone = Training(plan(NoisyBatchNorm), data, CPU)
    finish(run(alone))
    expected, actual = alone.model.state_dict(), kept[0].model.state_dict()
    assert all(torch.equal(value, actual[name]) for name, value in expected.items())


def test_a_run_that_diverges_has_what_was_measured_before(plan, data):
    made = plan(nn.Identity, lr=1e30, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    measurement = finish(Curves(evaluations=3).measure(made, data, CPU))
    assert measurement.status == "diverged"
    assert measurement.measured["at"] == [0]


def test_more_evaluations_than_steps_are_refused():
    with pytest.raises(UserError, match="^probe.evaluations=13 .*12"):
        Curves(evaluations=13).check(nn.Identity(), 12)
    with pytest.raises(UserError, match="^probe.evaluations=5 .*4"):
        Curves(evaluations=5, steps=4).check(nn.Identity(), 12)


def record(norm, seed, loss, accuracy, status="finished"):
    return {
        "key": f"{norm}{seed}",
        "config": {"norm": {"name": norm}},
        "seed": seed,
        "status": status,
        "measured": {"at": [0, 9], "val_loss": [2.0, loss], "val_accuracy": [0.1, accuracy]},
    }


RECORDS = [
    record("none", 0, 2.0, 0.2), record("none", 1, 1.8, 0.3),
    record("batchnorm", 0, 1.0, 0.6), record("batchnorm", 1, 1.0, 0.7),
    record("affine", 0, 1.5, 0.5), record("affine", 1, 1.6, 0.4),
]  # fmt: skip


def test_shares_of_the_improvement():
    found = shares(RECORDS)
    assert list(found) == ["batchnorm", "affine"]
    assert found["batchnorm"]["loss at the end"] == (1.0, 0.0)
    mean, std = found["affine"]["loss at the end"]
    assert mean == pytest.approx((0.5 + 0.25) / 2) and std == pytest.approx(0.25 / 2**0.5)
    assert found["affine"]["accuracy at the end"][0] == pytest.approx((0.75 + 0.25) / 2)
    assert found["affine"]["loss over training"][0] == pytest.approx((0.5 + 0.25) / 2)


def test_shares_are_of_the_seeds_that_all_have():
    diverged = [*RECORDS[:5], record("affine", 1, None, None, "diverged")]
    mean, std = shares(diverged)["affine"]["loss at the end"]
    assert (mean, std) == (pytest.approx(0.5), 0)
    assert shares(RECORDS[2:]) == {}
    assert at_end([diverged[-1]], "val_loss") != at_end(RECORDS, "val_loss")


def drawn(probe, norms, status="finished"):
    curve = {"at": [0, 9], "train_loss": [None, 1.0]}
    records = [
        probe_record(
            "ablation",
            curve | {"val_loss": [2.0, 2.0 - i / 5], "val_accuracy": [0.1, 0.1 + i / 5]},
            norm, seed, status,
        )
        for i, norm in enumerate(norms)
        for seed in (0, 1)
    ]  # fmt: skip
    return probe.draw(records)


def test_the_lines_of_an_ablation_are_named_at_their_ends():
    norms = ["none", "affine", "batchnorm_scale", "batchnorm_center", "batchnorm"]
    figure = drawn(Ablation, norms)
    loss, accuracy, *shares_of = figure.axes
    for ax in (loss, accuracy):
        assert {text.get_text() for text in ax.texts} == set(norms)
        assert {text.xy for text in ax.texts} == {tuple(line.get_xydata()[-1]) for line in ax.lines}
    assert [ax.get_title("left") for ax in shares_of] == list(KINDS)
    rows = rows_of(shares_of[0])
    assert rows == norms, "the largest share is on top"
    assert "over 2 seeds" in caption_of(figure)


def test_without_both_ends_there_are_curves_and_no_shares():
    figure = drawn(Ablation, ["none", "affine"])
    assert len(figure.axes) == 2
    assert "shares" not in caption_of(figure)


@pytest.mark.parametrize("probe", [Ablation, Curves])
def test_of_runs_that_all_diverged_no_line_is_drawn(probe):
    figure = drawn(probe, ["none", "batchnorm"], "diverged")
    assert not any(ax.lines for ax in figure.axes)
    assert "4 of 4 runs diverged" in caption_of(figure)
