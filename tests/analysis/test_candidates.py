"""Candidates are told apart, scored against the article's cells, and ranked."""

import copy
import math

import pytest

from normbench.analysis.candidates import (
    PATTERNS,
    Candidate,
    article_targets,
    candidates,
    leave_one_norm_out,
    places_of,
)
from normbench.analysis.groups import protocol_of
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
    "groupnorm": {"name": "groupnorm", "layer": {"_target_": "GroupNorm"}},
}
TWELVE = places_of("none", "batchnorm", "layernorm")  # that decide


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


def like_the_article(off=0.0, factor=1.0, places=TWELVE, **kwargs):
    cells = article_targets()
    return [
        record(place, cells[place].accuracy_mean + off, cells[place].loss_mean * factor, **kwargs)
        for place in places
    ]


def found(records, deciding=TWELVE):
    return candidates(records, DEFAULT, NORMS, deciding)


def score(candidate, places=TWELVE):
    return candidate.score(places)[:3]


def test_the_articles_own_numbers_score_zero_and_show_every_pattern():
    (best,) = found(like_the_article())
    assert best.label == ""
    assert score(best) == (0, pytest.approx(0), pytest.approx(0))
    assert best.patterns() == [True] * len(PATTERNS)


def test_the_score_is_the_mean_absolute_difference_in_accuracy_and_in_log_loss():
    (one,) = found(like_the_article(off=-0.04, factor=2.0))
    assert score(one) == (0, pytest.approx(0.04), pytest.approx(math.log(2)))
    assert one.score(TWELVE).largest == pytest.approx(0.04)


def test_seeds_of_a_cell_are_averaged():
    records = like_the_article(off=0.03, seed=0) + like_the_article(off=-0.01, seed=1)
    (one,) = found(records)
    assert score(one)[1] == pytest.approx(0.01)


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
    text = render(ranked, TWELVE)
    assert text.index("the default protocol") < text.index("optimizer.name=sgd")
    assert "3 of 12" in text


def test_a_norm_with_settings_of_its_own_makes_another_candidate():
    slow = {"name": "batchnorm", "layer": {"_target_": "BatchNorm", "momentum": 0.01}}
    place = ("batchnorm", 2, 0.01)
    changed = record(place, 0.9, 1.0, norm=slow)
    plain, other = found(like_the_article() + [changed])
    assert score(plain)[1] == pytest.approx(0)
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
    flat = [record(place, 0.5, 1.0) for place in TWELVE]
    assert found(flat)[0].patterns() == [False, True, True, True]
    assert found(flat[:1])[0].patterns() == [None] * 4


def test_only_the_cells_that_decide_rank_and_the_others_are_told_beside_them():
    everywhere = list(article_targets())
    groupnorm = places_of("groupnorm")
    sgd = {"optimizer": {"name": "sgd"}}
    records = (
        like_the_article(off=0.02)
        + like_the_article(off=0.01, places=groupnorm)
        + like_the_article(off=0.03, protocol=sgd)
        + like_the_article(off=0.0, places=groupnorm, protocol=sgd)
    )
    ranked = found(records)
    assert [c.label for c in ranked] == ["", "optimizer.name=sgd"]
    best = ranked[0]
    assert score(best, groupnorm) == (0, pytest.approx(0.01), pytest.approx(0))
    # 12 cells that are .02 off, 4 that are .01
    assert score(best, everywhere)[:2] == (12, pytest.approx((12 * 0.02 + 4 * 0.01) / 16))
    assert [c.label for c in found(records, groupnorm)] == ["optimizer.name=sgd", ""]
    text = render(ranked, TWELVE)
    assert "12 of 12" in text and "16 of 28" in text
    assert "On the article's other cells" in text


def complete(label, off, settings=None):
    """A candidate with runs of every cell, so far off in those of each norm."""
    runs = {
        place: [(cell.accuracy_mean + off.get(place[0], 0.05), cell.loss_mean)]
        for place, cell in article_targets().items()
    }
    of_norms = {norm: {"protocol": label, "norm": norm} for norm, *_ in runs}
    return Candidate(label, of_norms | (settings or {}), runs)


def test_a_norm_that_is_left_out_is_foretold_by_what_is_best_for_the_others():
    norms = [norm for norm, *_ in article_targets()]
    close = complete("close", {**dict.fromkeys(norms, 0.0), "groupnorm": 0.3})
    far = complete("far", {"groupnorm": 0.0})
    results = {result.norm: result for result in leave_one_norm_out([close, far])}
    assert [c.label for c in results["groupnorm"].chosen] == ["close"]
    assert results["groupnorm"].fitted == pytest.approx(0)
    assert results["groupnorm"].predicted == pytest.approx(0.3)
    # without another norm: (5 * 0 + .3) / 6 is no better than (5 * .05 + 0) / 6
    assert [c.label for c in results["none"].chosen] == ["far"]
    assert results["none"].fitted == pytest.approx(0.25 / 6)
    assert results["none"].predicted == pytest.approx(0.05)


def test_settings_of_the_norm_that_is_left_out_are_not_chosen_by_its_own_cells():
    other = {"groupnorm": {"protocol": "a", "norm": "another"}}
    same = complete("a", {"groupnorm": 0.02}), complete("a, other", {"groupnorm": 0.1}, other)
    worse = complete("b", dict.fromkeys(NORMS, 0.2))
    (result,) = [r for r in leave_one_norm_out([*same, worse]) if r.norm == "groupnorm"]
    assert result.chosen == list(same) and result.predicted == pytest.approx(0.06)


def test_one_protocol_leaves_nothing_to_choose():
    alone = complete("a", {})
    partial = Candidate("b", {"none": {"protocol": "b"}}, {("none", 2, 0.01): [(0.5, 1.0)]})
    assert leave_one_norm_out([alone, partial]) == []
    assert "It takes two protocols" in render([alone, partial], TWELVE)


def test_a_calibrations_choice_is_told_with_what_it_was_chosen_by(monkeypatch):
    from normbench.analysis import candidates as module
    from normbench.analysis.calibrations import Calibration

    records = like_the_article(off=0.01) + like_the_article(off=0.04, places=places_of("groupnorm"))
    small = {"data": {"name": "imagenette", "image_size": 32}}
    protocol = protocol_of(records[0])
    chosen = Calibration(
        "made-up",
        "",
        {"cnn4": ("none", "batchnorm", "layernorm")},
        {("cnn4", name): {**protocol, "norm": norm} for name, norm in NORMS.items()},
        ((), (), ()),
    )
    monkeypatch.setattr(module, "calibrations", lambda: (chosen,))
    ranked = found(records + like_the_article(off=0.0, protocol=small))
    assert [c.calibration for c in ranked] == [None, chosen]
    text = render(ranked, TWELVE)
    section = text.partition("## Chosen, and predicted")[2].partition("##")[0]
    (row,) = [
        [word.strip() for word in line.split("|")[1:-1]]
        for line in section.splitlines()
        if "made-up" in line
    ]
    assert row[:4] == ["made-up", "2", "none, batchnorm, layernorm", "0.010"]
    assert "groupnorm" in row[4] and row[5] == "0.040"
