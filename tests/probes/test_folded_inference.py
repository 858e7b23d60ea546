"""A folded network computes what it did before, without its norms."""

import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.probes.folded_inference import FoldedInference, fold

MODEL = {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 8]}
PROBE = FoldedInference(model=MODEL | {"order": "norm_relu"}, reference="none", rounds=2, seconds=0)


def behind(norm=nn.BatchNorm2d):
    return CNN4(norm, 3, widths=(8, 8), order="norm_relu")


def test_the_same_logits_without_a_norm(plan, data):
    training = Training(plan(model=behind), data, torch.device("cpu"))
    finish(training.epoch())
    training.model.eval()
    folded = fold(training.model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    inputs = training.inputs(data.val.images)
    torch.testing.assert_close(folded(inputs), training.model(inputs), rtol=1e-4, atol=1e-5)


def test_rounds_of_all_three(plan, data):
    probe = FoldedInference(model=PROBE.model, reference="none", rounds=2, seconds=1e-4)
    measured = finish(probe.measure(plan(model=behind), data, torch.device("cpu"))).measured
    for name in ("norm", "folded", "reference"):
        assert len(measured[name]) == 2 and min(measured[name]) > 0
    assert measured["difference"] < 1e-4


def test_a_norm_behind_a_relu_cannot_be_folded():
    with pytest.raises(UserError, match="model.order=norm_relu"):
        fold(CNN4(nn.BatchNorm2d, 3, widths=(8, 8), order="relu_norm"))
