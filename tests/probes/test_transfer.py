"""A new head: which parameters move and which do not, and on which classes."""

import pytest
import torch
from torch import nn

from normbench.data.dataset import Split
from normbench.engine.training import Training, finish
from normbench.errors import UserError
from normbench.probes.transfer import MODES, Transfer, batchnorms, of

CPU = torch.device("cpu")
SETTINGS = {"head_batch_sizes": [4, 8], "head_images": 64, "head_lr": 0.01}


def test_halves_of_the_classes():
    split = Split(torch.arange(6).view(6, 1, 1, 1), torch.tensor([0, 1, 2, 3, 2, 0]))
    first, second = of(split, 2, later=False), of(split, 2, later=True)
    assert first.images.flatten().tolist() == [0, 1, 5] and first.labels.tolist() == [0, 1, 0]
    assert second.images.flatten().tolist() == [2, 3, 4] and second.labels.tolist() == [0, 1, 0]


def test_every_mode_has_an_accuracy_for_each_batch_size(plan, data):
    measured = finish(Transfer(**SETTINGS).measure(plan(), data, CPU)).measured
    assert set(measured["accuracy"]) == set(MODES)
    for values in measured["accuracy"].values():
        assert len(values) == 2 and all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("mode", MODES)
def test_the_body_stays_and_norms_move_where_they_may(plan, data, mode, monkeypatch):
    training = Training(plan(nn.BatchNorm2d), data, CPU)
    finish(training.epoch())
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    copies = []
    evaluate = training.evaluate
    monkeypatch.setattr(
        training, "evaluate", lambda split: (copies.append(training.model), evaluate(split))[1]
    )
    Transfer(**SETTINGS)._head_trained(training, mode, 8)
    after = training.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    (trained,) = copies
    assert trained is not training.model
    moved = {n for n, v in trained.state_dict().items() if not torch.equal(v, before[n])}
    kept = {n for n, m in trained.named_modules() if m not in batchnorms(trained)}
    assert {"head.weight", "head.bias"} <= moved
    assert not any(f"{name}.weight" in moved for name in kept if name.startswith("features."))
    assert ("features.2.running_mean" in moved) == (mode != "evaluation")
    assert ("features.2.weight" in moved) == (mode == "trained")


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="no linear head"):
        Transfer(**SETTINGS).check(nn.Identity(), 5)
    with pytest.raises(UserError, match="no norm with running statistics"):
        Transfer(**SETTINGS).check(nn.Linear(1, 1), 5)
    body = nn.Sequential(nn.BatchNorm2d(1), nn.Linear(1, 1))
    with pytest.raises(UserError, match="^probe.head_batch_sizes="):
        Transfer(**SETTINGS | {"head_batch_sizes": [1]}).check(body, 5)
