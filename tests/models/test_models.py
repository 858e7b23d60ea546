"""Models take any norm, and know none."""

import pytest
import torch
from torch import nn

import normbench
from normbench.errors import UserError
from normbench.models.cnn4 import CNN4

NORMS = [
    "none", "batchnorm", "batchnorm_eps", "running_batchnorm", "layernorm", "groupnorm",
    "ws_groupnorm", "ws_bcn",
]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("model", ["cnn4", "resnet18"])
def test_every_norm_trains_in_every_model(model, norm):
    torch.manual_seed(0)
    network = normbench.build_model(model, norm=norm, num_classes=7)
    logits = network(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_cnn4_is_four_strided_convolutions_with_norm_and_relu_then_a_linear_head():
    kinds = [type(m) for m in CNN4(nn.BatchNorm2d).features]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 4
    convolutions = [m for m in CNN4(nn.BatchNorm2d).modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16, 32, 64, 128]
    assert {(c.kernel_size, c.stride) for c in convolutions} == {((3, 3), (2, 2))}


def test_convolutions_have_a_bias_where_nothing_else_shifts():
    def biases(norm_layer, **settings):
        network = CNN4(norm_layer, **settings)
        return {m.bias is not None for m in network.modules() if isinstance(m, nn.Conv2d)}

    assert biases(nn.Identity) == {True}
    assert biases(nn.BatchNorm2d) == {False}
    assert biases(nn.BatchNorm2d, conv_bias=True) == {True}
    assert biases(nn.Identity, conv_bias=False) == {False}


@pytest.mark.parametrize(("size", "side"), [(64, 4), (63, 4), (65, 5), (16, 1)])
def test_a_flat_head_sees_every_position(size, side):
    network = CNN4(nn.Identity, head="flatten", image_size=size)
    assert network.head.in_features == 128 * side * side
    assert network(torch.rand(2, 3, size, size)).shape == (2, 10)


def test_kaiming_initialization_keeps_the_variance_that_its_paper_promises():
    torch.manual_seed(0)
    network = CNN4(nn.Identity, widths=(64, 256, 256), init="kaiming")
    conv = network.features[3]
    assert conv.weight.var().item() == pytest.approx(2 / (64 * 9), rel=0.02)
    assert conv.bias.abs().max() == 0


def test_the_same_random_state_gives_the_same_network():
    networks = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(normbench.build_model("resnet18", norm="groupnorm"))
    for one, other in zip(*(n.parameters() for n in networks), strict=True):
        assert torch.equal(one, other)


def test_weight_standardization_reaches_every_convolution():
    network = normbench.build_model("resnet18", norm="ws_bcn")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 20
    for conv in convolutions:
        filters = conv.weight.flatten(1)
        assert filters.mean(1).abs().max() < 1e-5
        assert (filters.var(1, unbiased=False) - 1).abs().max() < 0.1


def test_wrong_names_and_settings_are_the_users_to_mend():
    with pytest.raises(UserError, match="resnet18"):
        normbench.build_model("resnet19")
    with pytest.raises(UserError, match="groupnorm"):
        normbench.build_model("cnn4", norm="nonsense")
    settings = {
        "name": "groupnorm",
        "layer": {"_target_": "normbench.norms.GroupNorm", "_partial_": True, "num_groups": 3},
        "weight": None,
    }
    with pytest.raises(UserError, match="num_groups=3"):
        normbench.build_model("cnn4", norm=settings)


@pytest.mark.parametrize(
    "setting",
    [{"head": "max"}, {"init": "x"}, {"kernel_size": 2}, {"widths": []}, {"conv_bias": 3}],
)
def test_cnn4_refuses_choices_that_it_does_not_have(setting):
    with pytest.raises(ValueError):
        CNN4(nn.Identity, **setting)
