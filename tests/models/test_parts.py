"""What models share: activations by name, placement, initialization."""

import pytest
import torch
from torch import nn

from normbench.models.cnn4 import CNN4
from normbench.models.mlp import MLP
from normbench.models.parts import ACTIVATIONS, initialize, make_dropout
from normbench.models.resnet_cifar import ResNetCifar
from normbench.models.rnn import RowRNN
from normbench.models.vgg import VGG
from normbench.models.vit import ViT

WITH_ACTIVATION = [CNN4, MLP, VGG, ResNetCifar, RowRNN, ViT]


@pytest.mark.parametrize("Model", WITH_ACTIVATION)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_the_one_that_is_named(Model, name):
    network = Model(nn.Identity, activation=name)
    kinds = {type(m) for m in network.modules() if type(m) in map(type, _all())}
    assert kinds == {type(ACTIVATIONS[name]())}


def _all():
    return [make() for make in ACTIVATIONS.values()]


@pytest.mark.parametrize("Model", WITH_ACTIVATION)
def test_an_unknown_activation_is_named(Model):
    with pytest.raises(ValueError, match="activation 'swish' is not known: choose relu, sigmoid"):
        Model(nn.Identity, activation="swish")


@pytest.mark.parametrize("Model", [CNN4, MLP, VGG, RowRNN, ViT])
def test_dropout_stands_before_the_head_and_in_training_alone(Model):
    size = {} if Model in (CNN4, VGG) else {"image_size": 16}
    torch.manual_seed(0)
    network = Model(nn.Identity, dropout=0.5, **size)
    seen = []
    network.head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.randn(8, 3, 16, 16)
    network(x)
    network.eval()(x)
    dropped = (seen[0] == 0) & (seen[1] != 0)
    assert 0.3 < dropped.float().mean() / (seen[1] != 0).float().mean() < 0.7
    torch.testing.assert_close(seen[0][~dropped], 2 * seen[1][~dropped])
    with pytest.raises(ValueError, match="dropout 1"):
        Model(nn.Identity, dropout=1)


def test_no_dropout_is_no_layer():
    assert isinstance(make_dropout(0), nn.Identity)


@pytest.mark.parametrize(("init", "variance"), [("kaiming", 2 / 300), ("lecun", 1 / 300),
                                               ("gaussian", 1.0)])  # fmt: skip
@pytest.mark.parametrize("scale", [1.0, 0.01, 10])
def test_weights_start_with_the_variance_that_was_asked_for(init, variance, scale):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(300, 400), nn.Conv2d(12, 64, 5, bias=False))
    initialize(network, init, scale)
    weight = network[0].weight
    assert weight.var().item() == pytest.approx(variance * scale**2, rel=0.03)
    assert weight.mean().abs() < 0.01 * scale
    assert not network[0].bias.any()
    spread = network[1].weight.var().item()
    assert spread == pytest.approx(variance * scale**2, rel=0.03)


def test_the_default_is_torchs_own_times_the_scale():
    networks = []
    for scale in (1.0, 3.0):
        torch.manual_seed(0)
        network = nn.Linear(30, 40)
        initialize(network, "default", scale)
        networks.append(network)
    torch.manual_seed(0)
    own = nn.Linear(30, 40)
    assert torch.equal(networks[0].weight, own.weight)
    assert torch.equal(networks[1].weight, 3 * own.weight)
    assert torch.equal(networks[1].bias, own.bias)


@pytest.mark.parametrize("settings", [{"init": "x"}, {"init_scale": 0}, {"init_scale": -1.0}])
@pytest.mark.parametrize("Model", [MLP, VGG, ResNetCifar, RowRNN])
def test_an_init_that_makes_no_sense_is_refused(Model, settings):
    with pytest.raises(ValueError, match="init"):
        Model(nn.Identity, **settings)
