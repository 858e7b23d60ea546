"""The loss as a function of a vector, and that taking it anywhere leaves the network alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from normbench.calculus.batch_loss import BatchLoss, layers_of
from normbench.calculus.line import gradient
from normbench.models import build_model

NORMS = ["none", "batchnorm", "running_batchnorm", "groupnorm", "ws_bcn"]


def network(norm, model="cnn4"):
    torch.manual_seed(1)
    return build_model(model, norm, num_classes=4).to(memory_format=torch.channels_last)


def batch(size=8):
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(size, 3, 32, 32, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last)
    return x, torch.randint(0, 4, (size,), generator=generator)


@pytest.mark.parametrize("norm", NORMS)
def test_loss_and_gradient_are_those_of_a_training_step(norm):
    model, (x, labels) = network(norm), batch()
    value, g = gradient(loss := BatchLoss(model, x, labels), loss.here)
    expected = F.cross_entropy(model(x), labels)
    expected.backward()
    torch.testing.assert_close(value, expected.detach())
    gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(g, gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_an_excursion_leaves_the_network_as_it_was(norm):
    model, (x, labels) = network(norm), batch()
    model(x)  # statistics that are not those of the start
    before = {k: v.clone() for k, v in model.state_dict().items()}
    random = torch.get_rng_state()
    loss = BatchLoss(model, x, labels)
    first = loss(loss.here)
    gradient(loss, loss.here + 1)
    assert torch.equal(loss(loss.here), first)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_noise_is_the_same_at_every_point_and_that_of_the_next_step():
    class Noisy(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x):
            return x + torch.randn_like(x)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Noisy(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x, labels = batch()
    loss = BatchLoss(model, x, labels)
    first = loss(loss.here)
    assert torch.equal(loss(loss.here), first)
    torch.testing.assert_close(F.cross_entropy(model(x), labels), first)
    assert not torch.equal(loss(loss.here), first)


def test_the_mode_is_that_of_the_network():
    model, (x, labels) = network("batchnorm"), batch()
    loss = BatchLoss(model, x, labels)
    training = loss(loss.here)
    model.eval()
    torch.testing.assert_close(loss(loss.here), F.cross_entropy(model(x), labels))
    assert not torch.isclose(loss(loss.here), training)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("model", "count"), [("cnn4", 5), ("resnet18", 21)])
def test_layers_are_the_convolutions_and_the_head_in_order(model, count, norm):
    net = network(norm, model)
    layers = layers_of(net)
    here = BatchLoss(net, *batch()).here
    modules = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [layer.name for layer in layers] == [name for name, _ in modules]
    assert len(layers) == count and layers[0].start == 0
    for layer, (_, module) in zip(layers, modules, strict=True):
        parts = getattr(module, "parametrizations", None)
        weight = parts.weight.original if parts else module.weight
        assert torch.equal(here[layer.weight], weight.detach().flatten())
    for layer, following in zip(layers, layers[1:], strict=False):
        assert layer.start <= layer.weight.start < layer.weight.stop <= following.start
