"""What a norm costs: what is measured beside what, and how it is summed up."""

import pytest
import torch
from drawn import caption_of
from made_up import probe_record
from torch import nn

from normbench.engine.training import finish
from normbench.errors import UserError
from normbench.probes.overhead import Overhead, overhead

CPU = torch.device("cpu")
MODEL = {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]}


def probe(**changes):
    return Overhead(**{"model": MODEL, "reference": "none", "rounds": 3, "seconds": 1e-6} | changes)


def measure(plan, data, norm):
    return finish(probe().measure(plan(norm), data, CPU)).measured


def test_without_a_norm_nothing_more_is_kept(plan, data):
    measured = measure(plan, data, nn.Identity)
    assert measured["kept"] == measured["reference_kept"]
    assert measured["peak"] is measured["reference_peak"] is None
    for name in ("train", "forward", "reference_train", "reference_forward"):
        assert len(measured[name]) == 3


def test_batchnorm_keeps_a_map_more_where_a_convolution_follows(plan, data):
    """Its input is the ReLU's output, which is kept anyway; its output is the convolution's input.
    Beside these, a few numbers a channel."""
    measured = measure(plan, data, nn.BatchNorm2d)
    one_map = 4 * 8 * 8 * 8 * 8  # bytes: batch 8, width 8, 8 x 8 positions
    more = measured["kept"] - measured["reference_kept"]
    assert one_map <= more <= one_map + 4 * 2 * 3 * 8


def test_the_overhead_is_the_median_of_rounds_with_quartiles():
    def record(batch_size, train):
        return {
            "batch_size": batch_size,
            "measured": {"train": train, "reference_train": [2.0, 1.0, 1.0, 4.0, 2.0]},
        }

    group = [record(128, [2.0, 1.1, 1.2, 5.2, 2.8]), record(2, [9.0] * 5)]
    assert overhead(group, 128, "train") == pytest.approx((1.1, 1.2, 1.3))


def test_settings_that_do_not_fit():
    for settings, culprit in (
        ({"rounds": 0}, "probe.rounds=0"),
        ({"seconds": -1.0}, "probe.seconds"),
        ({"reference": "nothing"}, "norm 'nothing' is not known"),
    ):
        with pytest.raises(UserError, match=culprit):
            probe(**settings).check(nn.Identity(), 12)


def test_the_caption_says_how_often_and_where_and_nothing_of_epochs_that_nobody_trained():
    ratios = ("train", "forward", "reference_train", "reference_forward")
    measured = {name: [1.0, 2.0] for name in ratios} | {"kept": 3, "reference_kept": 3}
    records = [probe_record("overhead", measured, "none", seed) for seed in (0, 1, 2)]
    caption = caption_of(Overhead.draw(records))
    assert "8 rounds a seed" in caption and "3 seeds" in caption and "on a CPU" in caption
    assert "epoch" not in caption + Overhead.summarize(records)
