"""What a norm brings besides its layers: weights, an activation, an initialization."""

import pytest
import torch
from torch import nn

from normbench import build_model
from normbench.errors import UserError
from normbench.models.build import build
from normbench.norms import Deconvolution, EvoNormS0, FilterResponseNorm, lecun_normal
from normbench.norms.norm import ACTIVATIONS

CNN4 = {"name": "cnn4", "_target_": "normbench.models.cnn4.CNN4", "widths": [8, 16]}
WITH_ONE = {"frn_tlu": nn.Identity, "evonorm_b0": nn.Identity, "selu": nn.SELU}


def norm(**parts):
    """A config of a norm that is an nn.Identity, with these parts."""
    made = {"name": "mine", "layer": {"_target_": "torch.nn.Identity"}}
    return made | {part: {"_target_": target} for part, target in parts.items()}


def model(build):
    """A config of a model that is made by a function of `norm_layer`."""

    def make(norm_layer, num_classes):
        return build(norm_layer)

    globals()["made"] = make
    return {"name": "made", "_target_": f"{__name__}.made"}


def activations(network):
    return [m for m in network.modules() if isinstance(m, ACTIVATIONS)]


@pytest.mark.parametrize(("name", "kind"), WITH_ONE.items())
def test_cnn4_takes_its_activation_from_the_norm(name, kind):
    network = build_model("cnn4", norm=name)
    assert [type(m) for m in network.features[1::3]] == [kind] * 4
    assert len(activations(build_model("cnn4", norm="groupnorm"))) == 4  # of others its own ReLU


@pytest.mark.parametrize(("name", "kind"), WITH_ONE.items())
@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_so_does_a_resnet_of_torchvisions(arch, name, kind):
    settings = {"name": arch, "_target_": f"torchvision.models.{arch}"}
    network = build_model(settings, norm=name)
    relus = [m for path, m in network.named_modules() if path.endswith("relu")]
    assert [type(m) for m in relus] == [kind] * {"resnet18": 9, "resnet50": 17}[arch]
    assert not any(isinstance(m, nn.ReLU) for m in network.modules())


def test_a_network_with_a_norm_that_is_an_activation_computes_just_that():
    torch.manual_seed(0)
    network = build_model(CNN4, norm="evonorm_s0", num_classes=3)
    x = torch.randn(2, 3, 16, 16)
    first, second = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    features = EvoNormS0(16)(second(EvoNormS0(8)(first(x))))
    torch.testing.assert_close(network(x), network.head(features.mean((2, 3))))


def test_any_norm_can_be_tried_with_another_activation():
    config = norm(activation="torch.nn.GELU") | {"layer": {"_target_": "torch.nn.BatchNorm2d"}}
    network = build_model(CNN4, norm=config)
    assert [type(m) for m in network.features] == [nn.Conv2d, nn.GELU, nn.BatchNorm2d] * 2
    config["activation"]["approximate"] = "tanh"
    assert activations(build_model(CNN4, norm=config))[0].approximate == "tanh"


class Gated(nn.Sequential):
    """A block with a norm, an attention without one, and a classifier without one."""

    def __init__(self, norm_layer):
        relu = nn.ReLU()
        attention = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        block = nn.Sequential(nn.Conv2d(3, 4, 1), norm_layer(4), relu, norm_layer(4), relu)
        classifier = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 10))
        super().__init__(block, attention, classifier)


def test_activations_go_where_norms_are_and_stay_where_none_is():
    network = build_model(model(Gated), norm="frn_tlu")
    block, attention, classifier = network
    kinds = [nn.Conv2d, FilterResponseNorm, nn.Identity, FilterResponseNorm, nn.Identity]
    assert [type(m) for m in block] == kinds
    assert isinstance(attention[1], nn.ReLU) and isinstance(classifier[2], nn.ReLU)


class WithReLU(nn.Sequential):
    """A layer that has an activation of its own, beside what it normalizes with."""

    def __init__(self, num_channels):
        super().__init__(nn.BatchNorm2d(num_channels), nn.ReLU())


def test_a_layers_own_activation_stays():
    config = norm(activation="torch.nn.Tanh") | {"layer": {"_target_": f"{__name__}.WithReLU"}}
    network = build_model(CNN4, norm=config)
    assert sum(isinstance(m, nn.ReLU) for m in activations(network)) == 2
    assert [type(m) for m in network.features] == [nn.Conv2d, nn.Tanh, WithReLU] * 2


def test_a_model_whose_activations_are_out_of_reach_is_refused():
    class Functional(nn.Module):
        def __init__(self, norm_layer):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), norm_layer(8)

        def forward(self, x):
            return self.norm(self.conv(x)).relu()

    with pytest.raises(UserError, match="model=made with norm=selu: the norm brings an activation"):
        build_model(model(Functional), norm="selu")
    build_model(model(Functional), norm="groupnorm")


def test_selu_starts_with_lecuns_initialization():
    torch.manual_seed(0)
    network = build_model({**CNN4, "widths": [64, 256]}, norm="selu", num_classes=300)
    assert network.features[3].weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.02)
    assert network.head.weight.var().item() == pytest.approx(1 / 256, rel=0.02)
    assert not any(p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_selu_keeps_mean_and_variance_over_many_layers():
    torch.manual_seed(0)
    layers = [m for _ in range(16) for m in (nn.Linear(256, 256), nn.SELU())]
    lecun_normal(network := nn.Sequential(*layers))
    out = network(torch.randn(512, 256))
    assert abs(out.mean()) < 0.1
    assert out.var().item() == pytest.approx(1, abs=0.15)


def test_weights_are_initialized_before_they_are_reparametrized():
    torch.manual_seed(0)
    config = norm(init="normbench.norms.lecun_normal", weight="normbench.norms.weight_norm")
    conv = build_model({**CNN4, "widths": [64, 256]}, norm=config).features[3]
    lengths = conv.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(conv.parametrizations.weight[0].g.flatten(), lengths)
    assert conv.weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.02)


def test_convolutions_are_replaced_with_their_parameters():
    def made(norm):
        torch.manual_seed(0)
        return build_model("resnet18", norm=norm)

    plain, ours = (
        {path: m for path, m in made(norm).named_modules() if isinstance(m, nn.Conv2d)}
        for norm in ("none", "deconv")
    )
    assert plain.keys() == ours.keys()
    for path, convolution in ours.items():
        assert isinstance(convolution, Deconvolution)
        assert torch.equal(convolution.weight, plain[path].weight)


@pytest.mark.parametrize("part", ["weight", "activation", "init", "convolution"])
def test_settings_without_a_class_are_refused(part):
    config = norm() | {part: {"eps": 1}}
    with pytest.raises(UserError, match=f"norm.{part}: name its class, with norm.{part}._target_"):
        build_model(CNN4, norm=config)


@pytest.mark.parametrize(
    "parts",
    [
        {"weight": {"_target_": "normbench.norms.WeightStandardization", "epsilon": 1}},
        {"weight": {"_target_": "normbench.norms.weight_norm", "epsilon": 1}},
        {"weight": {"_target_": "normbench.norms.spectral_norm", "n_power_iterations": 0}},
        {"activation": {"_target_": "torch.nn.GELU", "epsilon": 1}},
        {"init": {"_target_": "normbench.norms.lecun_normal", "epsilon": 1}},
        {"convolution": {"_target_": "normbench.norms.Deconvolution", "iterations": 0}},
    ],
    ids=str,
)
def test_settings_that_a_part_refuses_are_the_users_to_mend(parts):
    with pytest.raises(UserError, match="^model=cnn4 with norm=mine: .*(epsilon|iterations)"):
        build_model(CNN4, norm=norm() | parts)


def test_layers_are_counted_whatever_else_the_norm_brings():
    for name in ("selu", "frn_tlu", "spectralnorm", "deconv"):
        layers = build("resnet18", name, 10)[1]
        assert (len(layers.found), len(layers.others)) == (20, 0)
