"""Scaled weights: which gradients they have, and that each scale begins anew."""

import pytest
import torch
from torch import nn

from normbench.engine.training import Training, finish, run
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4
from normbench.models.deep_linear import DeepLinear
from normbench.probes.initial_scales import InitialScales, scaled, weighted

CPU = torch.device("cpu")


def linear():
    return DeepLinear(nn.Identity, 3, depth=4, width=8, image_size=16)


def test_weights_are_scaled_and_biases_and_norms_are_not():
    torch.manual_seed(0)
    network = CNN4(nn.BatchNorm2d, 3, widths=(8, 8))
    before = {name: p.clone() for name, p in network.named_parameters()}
    scaled(network, 3.0)
    weights = {id(m.weight) for m in weighted(network)}
    for name, p in network.named_parameters():
        factor = 3.0 if id(p) in weights else 1.0
        assert torch.equal(p, factor * before[name])


def test_gradients_of_the_first_and_the_last_hidden_layer(plan, data):
    chosen = plan(model=linear)
    measured = finish(InitialScales(scales=[1.0], steps=2).measure(chosen, data, CPU)).measured
    training = Training(chosen, data, CPU)
    training.model.train()
    batch = training.batches()[0]
    logits = training.model(training.inputs(data.train.images[batch]))
    nn.functional.cross_entropy(logits, data.train.labels[batch]).backward()
    layers = weighted(training.model)
    expected = layers[0].weight.grad.norm() / layers[-2].weight.grad.norm()
    assert measured["gradient_ratio"][0] == pytest.approx(expected.item(), rel=1e-4)


def test_accuracy_at_scale_one_is_that_of_the_run_itself(plan, data):
    chosen = plan(model=linear)
    probe = InitialScales(scales=[0.5, 1.0], steps=12)
    measured = finish(probe.measure(chosen, data, CPU)).measured
    result = finish(run(Training(chosen, data, CPU)))
    assert measured["accuracy"][1] == result.epochs[-1]["val_accuracy"]


def test_a_scale_whose_loss_explodes_has_no_accuracy(plan, data):
    chosen = plan(model=linear, optimizer=lambda params, lr: torch.optim.SGD(params, lr=1e6))
    measured = finish(InitialScales(scales=[1e12], steps=8).measure(chosen, data, CPU)).measured
    assert measured["accuracy"] == [None]


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="^probe.steps=9 "):
        InitialScales(scales=[1.0], steps=9).check(linear(), 5)
    with pytest.raises(UserError, match="no two layers"):
        InitialScales(scales=[1.0], steps=1).check(nn.Linear(1, 1), 5)
