"""The small network."""

import pytest
import torch
from torch import nn

from normbench.models.cnn4 import CNN4


def test_cnn4_is_four_strided_convolutions_with_relu_and_norm_then_a_linear_head():
    kinds = [type(m) for m in CNN4(nn.BatchNorm2d).features]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * 4
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


def test_the_norm_may_stand_before_the_relu():
    kinds = [type(m) for m in CNN4(nn.BatchNorm2d, order="norm_relu").features]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 4


@pytest.mark.parametrize("size", [64, 63, 65, 16])
@pytest.mark.parametrize("order", ["norm_relu", "relu_norm"])
def test_pooling_halves_the_sides_as_strides_do(size, order):
    x = torch.rand(2, 3, size, size)
    strided = CNN4(nn.BatchNorm2d, order=order).features(x)
    pooled = CNN4(nn.BatchNorm2d, order=order, downsampling="max_pool").features(x)
    assert pooled.shape == strided.shape


def test_each_convolution_may_have_a_kernel_of_its_own():
    network = CNN4(nn.Identity, kernel_size=[5, 3, 3, 1])
    sizes = [m.kernel_size for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sizes == [(5, 5), (3, 3), (3, 3), (1, 1)]
    assert network.features(torch.rand(2, 3, 64, 64)).shape == (2, 128, 4, 4)


def test_a_concatenated_head_sees_each_channels_mean_and_maximum():
    network = CNN4(nn.Identity, head="concat")
    x = torch.rand(2, 3, 64, 64)
    features = network.features(x).flatten(2)
    values = torch.cat([features.mean(2), features.max(2).values], 1)
    assert torch.allclose(network(x), network.head(values))


def test_kaiming_initialization_keeps_the_variance_that_its_paper_promises():
    torch.manual_seed(0)
    network = CNN4(nn.Identity, widths=(64, 256, 256), init="kaiming")
    conv = network.features[3]
    assert conv.weight.var().item() == pytest.approx(2 / (64 * 9), rel=0.02)
    assert conv.bias.abs().max() == 0


@pytest.mark.parametrize(
    "setting",
    [
        {"head": "max"},
        {"init": "x"},
        {"kernel_size": 2},
        {"kernel_size": [3, 3]},
        {"widths": []},
        {"conv_bias": 3},
        {"order": "relu"},
        {"downsampling": "mean"},
    ],
)
def test_cnn4_refuses_choices_that_it_does_not_have(setting):
    with pytest.raises(ValueError):
        CNN4(nn.Identity, **setting)
