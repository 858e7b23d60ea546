"""VGG, against torchvision's and the paper's table."""

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs

from normbench.models.vgg import VGG
from normbench.norms import BatchNorm


def made(network):
    """The network in torchvision's notation: widths of convolutions, M for pooling."""
    convolutions = (nn.Conv2d, nn.MaxPool2d)
    found = [m for m in network.features if isinstance(m, convolutions)]
    return [m.out_channels if isinstance(m, nn.Conv2d) else "M" for m in found]


@pytest.mark.parametrize("variant", ["A", "B", "D", "E"])
def test_convolutions_and_pooling_are_torchvisions(variant):
    network = VGG(BatchNorm, variant=variant)
    assert made(network) == cfgs[variant]
    kinds = {(m.kernel_size, m.stride, m.padding) for m in network.features
             if isinstance(m, nn.Conv2d)}  # fmt: skip
    assert kinds == {((3, 3), (1, 1), (1, 1))}


def test_variant_c_is_d_with_the_third_convolution_of_a_block_1_x_1():
    network = VGG(BatchNorm, variant="C")
    assert made(network) == cfgs["D"]
    sizes = [m.kernel_size[0] for m in network.features if isinstance(m, nn.Conv2d)]
    assert sizes == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


def test_it_computes_what_torchvisions_features_do():
    from torchvision.models import vgg11_bn

    torch.manual_seed(0)
    network, theirs = VGG(BatchNorm, variant="A").double(), vgg11_bn().features.double()
    for own, other in zip(network.features, theirs, strict=True):
        other.load_state_dict(own.state_dict(), strict=False)
        if isinstance(other, nn.Conv2d):  # ours has no bias before a norm that shifts
            nn.init.zeros_(other.bias)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(network.features(x), theirs(x))


@pytest.mark.parametrize(("width", "widths"), [(0.25, {16, 32, 64, 128}), (0.01, {8})])
def test_a_width_factor_leaves_multiples_of_eight(width, widths):
    assert {w for w in made(VGG(BatchNorm, width=width)) if w != "M"} == widths


@pytest.mark.parametrize("size", [28, 32, 48, 7])
def test_it_takes_images_of_any_size(size):
    network = VGG(BatchNorm, variant="A", width=0.25).eval()
    assert network(torch.randn(2, 3, size, size)).shape == (2, 10)


def test_an_unknown_variant_is_told_which_there_are():
    with pytest.raises(ValueError, match="variant 'F' is not known: choose A, B, C, D, E"):
        VGG(nn.Identity, variant="F")


@pytest.mark.parametrize("settings", [{"variant": "F"}, {"width": 0}, {"order": "relu"}])
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        VGG(nn.Identity, **settings)
