"""Fixup, against the rules of the paper and a network that is written out."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import normbench
from normbench.norms import FixupScalars, fixup
from normbench.norms.fixup import residual_branches

NOT_YET = {"name": "scalars", "layer": {"_target_": "normbench.norms.FixupScalars"}}
RESNETS = {
    "resnet18": (8, 2),
    "timm/resnet26": (8, 3),  # bottlenecks
    "torchvision/resnet50": (16, 3),
    "resnet_cifar": (9, 2),
}  # branches, and the convolutions of each


def built(model, norm="fixup"):
    torch.manual_seed(0)
    return normbench.build_model(model, norm=norm, num_classes=10)


def scalars(network, part):
    return [getattr(m, part) for m in network.modules() if isinstance(m, FixupScalars)]


@pytest.mark.parametrize(("model", "count", "each"), [(m, *known) for m, known in RESNETS.items()])
def test_branches_start_at_zero_and_smaller_the_more_there_are(model, count, each):
    network = normbench.build_model(model, norm=NOT_YET)
    branches = residual_branches(network)
    fixup(network)
    assert [len(convolutions) for convolutions in branches.values()] == [each] * count
    of_branches = [c for convolutions in branches.values() for c in convolutions]
    for *others, last in branches.values():
        assert not last.weight.any()
        for conv in others:
            fan_out = conv.weight[:, 0].numel()
            expected = (2 / fan_out) ** 0.5 * count ** (-1 / (2 * each - 2))
            assert conv.weight.std().item() == pytest.approx(expected, rel=0.1)
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d) and conv not in of_branches:
            expected = (2 / conv.weight[:, 0].numel()) ** 0.5
            assert conv.weight.std().item() == pytest.approx(expected, rel=0.1)
    *_, classifier = (m for m in network.modules() if isinstance(m, nn.Linear))
    assert not classifier.weight.any() and not classifier.bias.any()


@pytest.mark.parametrize(("model", "count", "each"), [(m, *known) for m, known in RESNETS.items()])
def test_scalars_are_those_of_the_paper(model, count, each):
    network = built(model)
    assert sum(scale is not None for scale in scalars(network, "scale")) == count
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    shifted = [m for m in network.modules() if hasattr(m, "shift")]
    assert [m.layer for m in shifted] == layers
    assert all(m.shift.bias.shape == (1,) and m.shift.scale is None for m in shifted)
    # one before each of these layers, and one behind each convolution but those of shortcuts
    behind = count * each + 1
    biases = [bias for bias in scalars(network, "bias") if bias is not None]
    assert len(biases) == len(layers) + behind
    assert not torch.cat(biases).any()
    scales = [scale for scale in scalars(network, "scale") if scale is not None]
    assert (torch.cat(scales) == 1).all()


def test_a_block_computes_what_the_papers_does():
    network = built("resnet18").double()
    block = network.layer2[0]
    with torch.no_grad():
        for p in block.parameters():
            p.copy_(torch.randn_like(p))
    x = torch.randn(2, 64, 8, 8, dtype=torch.float64)
    s = {name: p for name, p in block.named_parameters()}
    y = F.conv2d(x + s["conv1.shift.bias"], s["conv1.layer.weight"], stride=2, padding=1)
    y = F.relu(y + s["bn1.bias"])
    y = F.conv2d(y + s["conv2.shift.bias"], s["conv2.layer.weight"], padding=1)
    y = y * s["bn2.scale"] + s["bn2.bias"]
    shortcut = F.conv2d(x + s["downsample.0.shift.bias"], s["downsample.0.layer.weight"], stride=2)
    assert len(s) == 9
    torch.testing.assert_close(block(x), F.relu(y + shortcut))


def test_at_the_start_a_residual_network_is_its_shortcuts_and_says_nothing():
    network = built("resnet18")
    x = torch.rand(2, 3, 32, 32)
    assert not network(x).any()
    assert torch.equal(network.layer1(features := torch.rand(2, 64, 8, 8)), features)


def test_an_update_moves_the_logits_as_little_whatever_the_depth():
    """The paper's promise: Θ(η), where He's initialization explodes."""

    def change(depth, norm):
        network = built({"name": "deep", "_target_": "normbench.models.resnet_cifar.ResNetCifar",
                         "depth": depth}, norm)  # fmt: skip
        x, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
        for _ in range(2):  # from the second on, all layers have a gradient
            before = network(x)
            F.cross_entropy(before, labels).backward()
            with torch.no_grad():
                for p in network.parameters():
                    p -= 0.05 * p.grad
                    p.grad = None
        return (network(x) - before).abs().mean().item()

    shallow, deep = change(8, "fixup"), change(56, "fixup")
    assert 0.1 < deep / shallow < 10
    assert not change(56, "none") < 100 * deep


def test_a_network_without_branches_keeps_the_rest():
    network = built("cnn4")
    assert not network.head.layer.weight.any()
    assert all(scale is None for scale in scalars(network, "scale"))
    assert len([bias for bias in scalars(network, "bias") if bias is not None]) == 4 + 5


def test_what_it_adds_is_copied_along():
    network = built("cnn4")
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin.features[0].shift.bias.fill_(1.0)
    x = torch.rand(2, 3, 16, 16)
    assert not torch.equal(network.features[0](x), twin.features[0](x))
    assert torch.equal(twin.features[0](x), network.features[0](x + 1))


def test_dtypes_stay():
    x = torch.rand(2, 3, 4, 4, dtype=torch.bfloat16)
    assert FixupScalars(3)(x).dtype == torch.bfloat16
    network = nn.Sequential(nn.Conv2d(3, 3, 1), FixupScalars(3)).to(torch.float64)
    fixup(network)
    assert {p.dtype for p in network.parameters()} == {torch.float64}
