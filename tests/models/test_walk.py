"""The norms of any network are found among its modules, and replaced."""

import logging

import pytest
import timm
import torch
from timm import layers
from torch import nn
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops import FrozenBatchNorm2d

import normbench
from normbench.errors import UserError
from normbench.models.build import build
from normbench.models.walk import StandIn, norms_of

C = 16
MAP, MAP_LAST, TOKENS, FEATURES = (4, C, 6, 5), (4, 6, 5, C), (4, 7, C), (4, C)


class Scale(nn.Module):
    """A norm whose outcome tells apart which axis it took for the channels."""

    def __init__(self, num_channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.register_buffer("factor", torch.arange(1.0, num_channels + 1))

    def forward(self, x):
        return x * self.factor.view(1, -1, *[1] * (x.dim() - 2))


def replaced(norm, shape, layer=Scale):
    """What comes out where a norm stood, and what it was given."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), norm)
    normbench.replace_norms(network, norm=layer)
    x = torch.randn(shape)
    return network[1](x.clone()), x


@pytest.mark.parametrize(
    ("norm", "shape", "channels_last"),
    [
        (nn.BatchNorm2d(C), MAP, False),
        (nn.SyncBatchNorm(C), MAP, False),
        (nn.BatchNorm1d(C), FEATURES, False),
        (nn.BatchNorm1d(C), (4, C, 9), False),
        (nn.BatchNorm3d(C), (4, C, 2, 3, 4), False),
        (nn.InstanceNorm2d(C), MAP, False),
        (nn.GroupNorm(4, C), MAP, False),
        (FrozenBatchNorm2d(C), MAP, False),
        (LayerNorm2d(C), MAP, False),
        (nn.LayerNorm(C), MAP_LAST, True),
        (nn.LayerNorm(C), TOKENS, True),
        (nn.LayerNorm(C), FEATURES, True),
        (nn.LayerNorm(C), (2, 2, 3, 7, C), True),
        (nn.LayerNorm(C, elementwise_affine=False), TOKENS, True),
        (nn.RMSNorm(C), TOKENS, True),
        (layers.LayerNorm(C), TOKENS, True),
        (layers.LayerNorm2d(C), MAP, False),
        (layers.GroupNorm1(C), MAP, False),
        (layers.RmsNorm(C), TOKENS, True),
        (layers.RmsNorm2d(C), MAP, False),
        (layers.SimpleNorm2d(C), MAP, False),
        (layers.FrozenBatchNormAct2d(C, apply_act=False), MAP, False),
        (layers.EvoNorm2dS0(C, groups=4, apply_act=False), MAP, False),
        (layers.FilterResponseNormTlu2d(C, apply_act=False), MAP, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_a_norm_gives_way_to_one_of_its_channels_wherever_they_are(norm, shape, channels_last):
    y, x = replaced(norm, shape)
    factor = torch.arange(1.0, C + 1)
    expected = x * (factor if channels_last else factor.view(1, -1, *[1] * (x.dim() - 2)))
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(
    ("norm", "act"),
    [
        (layers.BatchNormAct2d(C, act_layer=nn.SiLU), nn.SiLU()),
        (layers.BatchNormAct2d(C, apply_act=False), nn.Identity()),
        (layers.GroupNormAct(C, num_groups=4, act_layer=nn.GELU), nn.GELU()),
        (layers.LayerNormAct2d(C), nn.ReLU()),
        (layers.FrozenBatchNormAct2d(C), nn.ReLU()),
        (layers.EvoNorm2dB0(C), nn.SiLU()),  # x · sigmoid(v x), with v = 1 at the start
        (layers.FilterResponseNormTlu2d(C), nn.ReLU()),  # max(x, tau), with tau = 0
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_activation_in_a_norm_stays(norm, act):
    y, x = replaced(norm, MAP)
    torch.testing.assert_close(y, act(x * torch.arange(1.0, C + 1).view(1, -1, 1, 1)))


def test_a_dropout_in_a_norm_stays():
    norm = layers.BatchNormAct2d(C, apply_act=False, drop_layer=lambda: nn.Dropout(1.0))
    assert not replaced(norm, MAP)[0].any()


def test_layernorm_of_tokens_is_the_transformers():
    y, x = replaced(nn.LayerNorm(C), TOKENS, layer=normbench.norms.LayerNorm)
    torch.testing.assert_close(y, nn.functional.layer_norm(x, (C,)))


@pytest.mark.parametrize("norm", ["none", "groupnorm"])
def test_what_follows_leaves_alone_what_the_norm_was_given(norm):
    """A batch norm's output may be overwritten, what goes through an nn.Identity may not."""

    class Preactivated(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormAct2d(C, inplace=True)
            self.act = nn.Hardswish(inplace=True)

        def forward(self, x):
            return self.act(self.norm(x)), x

    network = normbench.replace_norms(Preactivated(), norm=norm)
    before = torch.randn(MAP, requires_grad=True) + 0
    y, x = network(before)
    assert x.lt(0).any()
    (y * y.detach() + x).sum().backward()


def test_what_starts_at_zero_starts_at_zero():
    """As the last norm of a residual branch does in many networks."""
    norm = nn.BatchNorm2d(C)
    nn.init.zeros_(norm.weight)
    nn.init.constant_(norm.bias, 3.0)
    network = normbench.replace_norms(nn.Sequential(norm), norm="groupnorm")
    assert not network[0].weight.any() and (network[0].bias == 3).all()


def test_a_norm_in_two_places_is_one_in_both():
    norm = nn.BatchNorm2d(C)
    network = nn.ModuleDict({"one": norm, "other": nn.Sequential(norm)})
    normbench.replace_norms(network, norm="groupnorm")
    assert network["one"] is network["other"][0]
    assert isinstance(network["one"], normbench.norms.GroupNorm)


def test_one_of_ones_own_is_replaced_in_place_and_says_how_many_there_were(caplog):
    network = timm.create_model("lcnet_035", num_classes=3).double().eval()
    with caplog.at_level(logging.INFO, "normbench"):
        assert normbench.replace_norms(network, norm="ws_groupnorm") is network
    assert "replaced 27 of 27 norms by ws_groupnorm" in caplog.text
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert not any(m.training for m in network.modules())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert network(x).shape == (2, 3)
    filters = [m.weight.flatten(1) for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert all(f.mean(1).abs().max() < 1e-4 for f in filters)


class Holding(nn.Module):
    """Says that it is a norm, but not of how many channels."""

    def __init__(self, called):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.scale


class MyNorm(Holding):
    pass


def test_a_norm_that_cannot_be_replaced_is_no_part_of_it_unless_asked_for():
    def network():
        return nn.Sequential(nn.BatchNorm2d(C), MyNorm(C), nn.LocalResponseNorm(3))

    line = "would have 1 of 3 norms (not LocalResponseNorm, MyNorm)"
    with pytest.raises(UserError) as error:
        normbench.replace_norms(network(), norm="groupnorm")
    assert line in str(error.value) and "partial=True" in str(error.value)
    kinds = [type(m) for m in normbench.replace_norms(network(), "groupnorm", partial=True)]
    assert kinds == [normbench.norms.GroupNorm, MyNorm, nn.LocalResponseNorm]


def test_blocks_and_weights_that_are_called_norms_are_none():
    block = layers.ConvNormAct(3, C, 3)
    torch.nn.utils.parametrizations.weight_norm(block.conv)
    assert list(norms_of(nn.Sequential(block))) == ["0.bn"]
    assert not norms_of(nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))))


def test_a_network_without_norms_gets_none():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert normbench.replace_norms(network, norm="none") is network
    normbench.replace_norms(network, norm="ws")  # is no layer either
    with pytest.raises(UserError, match="has no norm at all.*choose norm=none"):
        normbench.replace_norms(network, norm="groupnorm")


def test_channels_that_do_not_fit_are_told():
    with pytest.raises(UserError, match="num_groups=8 must be at least 1 and divide num_chan.*=18"):
        normbench.replace_norms(nn.Sequential(nn.BatchNorm2d(18)), norm="groupnorm")


def plain(num_classes):
    """A network of the user's that knows nothing of norms that could be others."""
    return nn.Sequential(
        nn.Conv2d(3, C, 3), nn.BatchNorm2d(C), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(C, num_classes),
    )  # fmt: skip


def test_a_model_without_the_argument_norm_layer_has_its_norms_replaced():
    config = {"name": "mine", "_target_": f"{__name__}.plain"}
    network, norms = build(config, "frn_tlu", 5)
    assert str(norms) == "1 of 1 norm" and norms.replaced
    assert isinstance(network[1], normbench.norms.FilterResponseNorm)
    assert isinstance(network[2], nn.Identity)  # the norm brings its activation
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "norms"),
    [
        ("torchvision/mobilenet_v3_small", 34),
        ("torchvision/convnext_tiny", 23),
        ("timm/lcnet_035", 27),
        ("timm/convit_tiny", 25),
    ],
)
def test_models_of_libraries_train_with_any_norm_in_place_of_theirs(name, norms):
    network, layers_ = build(name, "groupnorm", 7)
    assert layers_.summary("groupnorm") == f"replaced {norms} of {norms} norms by groupnorm"
    assert all(isinstance(layer, normbench.norms.GroupNorm) for layer in layers_.found)
    size = 224 if "convit" in name else 32
    logits = network(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for layer in layers_.found for p in layer.parameters())


def test_a_model_is_its_librarys_but_for_the_norms():
    def numbers(network):
        return {name: p for name, p in network.named_parameters() if "bn" not in name}

    def seeded(make):
        torch.manual_seed(3)
        return make()

    theirs = seeded(lambda: timm.create_model("resnet18d", num_classes=4))
    ours = seeded(lambda: normbench.build_model("timm/resnet18d", "batchnorm", num_classes=4))
    assert [type(m) for m in ours.modules() if isinstance(m, StandIn)] == []
    for (name, one), other in zip(numbers(theirs).items(), numbers(ours).values(), strict=True):
        assert torch.equal(one, other), name
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x))
