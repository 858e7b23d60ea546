"""Candidates are told apart, scored against the article's cells, and ranked."""

import copy
import math

import pytest

from normbench.analysis.candidates import PATTERNS, candidates, targets
from normbench.report.calibration import render

DEFAULT = {
    "data": {"name": "imagenette", "image_size": 64},
    "model": {"name": "cnn4"},
    "optimizer": {"name": "ranger", "betas": [0.95, 0.99]},
    "schedule": {"name": "one_cycle"},
    "train": {"epochs": 3, "precision": "fp32"},
}
NORMS = {
    "none": {"name": "none", "layer": {"_target_": "Identity"}},
    "batchnorm": {"name": "batchnorm", "layer": {"_target_": "BatchNorm", "momentum": 0.1}},
    "layernorm": {"name": "layernorm", "layer": {"_target_": "LayerNorm"}},
}


def record(place, accuracy, loss, seed=0, protocol=None, norm=None, status="finished"):
    name, batch_size, lr = place
    config = copy.deepcopy(DEFAULT) | (protocol or {})
    config |= {"norm": norm or NORMS[name], "grid": {"seeds": [0]}}
    epochs = [{"val_accuracy": accuracy, "val_loss": loss, "train_loss": 1.0}]
    return {
        "key": f"{place}{seed}{protocol}{norm}",
        "config": config,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "status": status,
        "epochs": epochs if status == "finished" else [],
    }


def like_the_article(off=0.0, factor=1.0, **kwargs):
    return [
        record(place, cell.accuracy_mean + off, cell.loss_mean * factor, **kwargs)
        for place, cell in targets().items()
    ]


def found(records):
    return candidates(records, DEFAULT, NORMS)


def test_the_articles_own_numbers_score_zero_and_show_every_pattern():
    (best,) = found(like_the_article())
    assert best.label == ""
    assert best.score == (0, pytest.approx(0), pytest.approx(0))
    assert best.patterns() == [True] * len(PATTERNS)


def test_the_score_is_the_mean_absolute_difference_in_accuracy_and_in_log_loss():
    (one,) = found(like_the_article(off=-0.04, factor=2.0))
    assert one.score == (0, pytest.approx(0.04), pytest.approx(math.log(2)))


def test_seeds_of_a_cell_are_averaged():
    records = like_the_article(off=0.03, seed=0) + like_the_article(off=-0.01, seed=1)
    (one,) = found(records)
    assert one.score[1] == pytest.approx(0.01)


def test_candidates_are_told_by_what_they_depart_in_and_ranked():
    sgd = {"optimizer": {"name": "sgd", "betas": [0.95, 0.99]}}
    small = {"data": {"name": "imagenette", "image_size": 32}}
    partial = like_the_article(protocol={"train": {"epochs": 5, "precision": "fp32"}})[:3]
    records = (
        partial
        + like_the_article(off=0.1, protocol=sgd)
        + like_the_article(off=0.02)
        + like_the_article(off=0.05, protocol=small)
    )
    ranked = found(records)
    assert [c.label for c in ranked] == [
        "",
        "data.image_size=32",
        "optimizer.name=sgd",
        "train.epochs=5",
    ]
    text = render(ranked)
    assert text.index("the default protocol") < text.index("optimizer.name=sgd")
    assert "3 of 12" in text


def test_a_norm_with_settings_of_its_own_makes_another_candidate():
    slow = {"name": "batchnorm", "layer": {"_target_": "BatchNorm", "momentum": 0.01}}
    place = ("batchnorm", 2, 0.01)
    changed = record(place, 0.9, 1.0, norm=slow)
    plain, other = found(like_the_article() + [changed])
    assert plain.score[1] == pytest.approx(0)
    assert other.label == "batchnorm with norm.layer.momentum=0.01"
    assert other.runs[place] == [(0.9, 1.0)]
    assert len(other.runs) == 9  # the other norms' cells, and the one that was run


def test_a_diverged_run_counts_as_guessing():
    records = [r for r in like_the_article() if r["config"]["norm"]["name"] != "none"]
    records += [record(("none", 2, 0.01), 0, 0, status="diverged")]
    (one,) = found(records)
    assert one.accuracy(("none", 2, 0.01)) == 0.1
    assert one.patterns()[2] is False


def test_patterns_that_do_not_show_are_told_from_those_that_are_not_known():
    flat = [record(place, 0.5, 1.0) for place in targets()]
    assert found(flat)[0].patterns() == [False, True, True, True]
    assert found(flat[:1])[0].patterns() == [None] * 4
