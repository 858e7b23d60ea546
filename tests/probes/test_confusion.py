"""Which classes are taken for which: counts are those of a trained network's own predictions."""

import numpy as np
import pytest
import torch
from drawn import caption_of
from made_up import probe_record
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.models.cnn4 import CNN4
from normbench.probes.confusion import Confusion, accuracies, shares

CPU = torch.device("cpu")


def test_counts_are_those_of_the_networks_predictions(plan, data):
    training = Training(plan(), data, CPU)
    result = finish(run(training))
    training.model.eval()
    with torch.no_grad():
        logits = training.model(training.inputs(data.val.images))
    measured = finish(Confusion().measure(plan(), data, CPU)).measured
    counts = np.array(measured["confusion"])
    assert measured["classes"] == ["a", "b", "c"] and measured["top5"] == 1  # of three classes
    for label in range(3):
        for taken in range(3):
            wanted = ((data.val.labels == label) & (logits.argmax(1) == taken)).sum()
            assert counts[label, taken] == wanted
    assert np.trace(counts) / counts.sum() == pytest.approx(result.epochs[-1]["val_accuracy"])


def test_the_right_class_is_among_the_best_five_as_often_as_it_is(plan, data):
    def eight():
        return CNN4(nn.BatchNorm2d, 8, widths=(8, 8))

    many = type(data)(
        "made", data.train, data.val, tuple("abcdefgh"), "digest", None
    )  # 8 classes, of which 3 have images
    training = Training(plan(model=eight), many, CPU)
    finish(run(training))
    training.model.eval()
    with torch.no_grad():
        places = training.model(training.inputs(data.val.images)).argsort(1, descending=True)
    wanted = (places[:, :5] == data.val.labels[:, None]).any(1).float().mean().item()
    measured = finish(Confusion().measure(plan(model=eight), many, CPU)).measured
    assert measured["top5"] == pytest.approx(wanted, rel=1e-5)


def test_a_run_that_diverges_has_no_counts(plan, data):
    made = plan(nn.Identity, lr=1e30, optimizer=lambda p, lr: torch.optim.SGD(p, lr=lr))
    measurement = finish(Confusion().measure(made, data, CPU))
    assert measurement.status == "diverged" and "confusion" not in measurement.measured


def measured(*counts):
    return {"classes": ["cat", "dog"], "confusion": [list(row) for row in counts], "top5": 1.0}


def test_shares_are_of_each_class_and_means_over_seeds():
    records = [
        probe_record("confusion", measured((3, 1), (0, 4)), seed=0),
        probe_record("confusion", measured((1, 1), (2, 2)), seed=1),
    ]
    assert shares(records) == pytest.approx(np.array([[0.625, 0.375], [0.25, 0.75]]))
    assert accuracies(records) == [pytest.approx(7 / 8), pytest.approx(1 / 2)]
    text = Confusion.summarize(records)
    assert "cat" in text and "0.625" in text and "0.75" in text


def test_a_panel_for_each_norm_and_none_for_what_diverged():
    records = [probe_record("confusion", measured((3, 1), (0, 4)), norm="none")]
    records += [
        probe_record("confusion", {"classes": ["cat", "dog"]}, "batchnorm", status="diverged")
    ]
    figure = Confusion.draw(records)
    assert [len(ax.images) for ax in figure.axes[:2]] == [1, 0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cat", "dog"]
    assert "what they are taken for" in caption_of(figure)
