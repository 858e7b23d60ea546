"""The ResNets of CIFAR-10."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normbench.models.resnet_cifar import ResidualBlock, ResNetCifar
from normbench.norms import BatchNorm


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85), (110, 1.7)])
def test_it_has_as_many_layers_and_parameters_as_the_papers(depth, millions):
    network = ResNetCifar(BatchNorm, depth=depth)
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == depth
    count = sum(p.numel() for p in network.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.02)  # Table 6


@pytest.mark.parametrize("size", [32, 28, 7])
@pytest.mark.parametrize("shortcut", [True, False])
def test_a_shortcut_takes_every_other_pixel_and_adds_channels_of_zeros(size, shortcut):
    torch.manual_seed(0)
    block = ResidualBlock(nn.Identity, 4, 8, 2, "relu", shortcut)
    x = torch.randn(2, 4, size, size)
    branch = block.conv2(F.relu(block.conv1(x)))
    short = torch.zeros_like(branch)
    short[:, :4] = x[:, :, ::2, ::2]
    torch.testing.assert_close(block(x), F.relu(branch + short if shortcut else branch))


def test_sides_halve_twice_and_channels_double():
    network = ResNetCifar(BatchNorm)
    x = network.conv(torch.randn(2, 3, 32, 32))
    shapes = []
    for stage in network.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_it_is_another_network_without_shortcuts_of_the_same_parameters():
    outputs, states = [], []
    for shortcuts in (True, False):
        torch.manual_seed(0)
        network = ResNetCifar(BatchNorm, shortcuts=shortcuts)
        states.append([p.clone() for p in network.parameters()])
        outputs.append(network(torch.ones(2, 3, 16, 16)))
    torch.testing.assert_close(*states)
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize("depth", [2, 18, 21, 0])
def test_another_depth_is_refused(depth):
    with pytest.raises(ValueError, match=r"is not 6 n \+ 2"):
        ResNetCifar(nn.Identity, depth=depth)
