"""Models take any norm, and know none."""

import pytest
import torch
from torch import nn

import normbench
from normbench.errors import UserError
from normbench.places import config_names, read_config

# What a norm has no place in, or nothing to act on.
REFUSED = {
    ("deep_linear", norm): "norm brings an activation"
    for norm in ("evonorm_b0", "evonorm_s0", "frn_tlu", "selu")
}
for flat in ("deep_linear", "mlp", "rnn", "vit"):
    REFUSED[flat, "deconv"] = "replaces convolutions, and the network has none"

SIDE = 32

# Every norm in the small model and every model with a norm, by default; the rest takes a while.
PAIRS = [
    pytest.param(
        model, norm, marks=[] if model == "cnn4" or norm == "batchnorm" else pytest.mark.slow
    )
    for model in config_names("model")
    for norm in config_names("norm")
]


@pytest.mark.parametrize(("model", "norm"), PAIRS)
def test_every_norm_trains_in_every_model(model, norm):
    torch.manual_seed(0)
    settings = read_config(f"model/{model}")
    if "image_size" in settings:
        settings["image_size"] = SIDE
    if (model, norm) in REFUSED:
        with pytest.raises(UserError, match=REFUSED[model, norm]):
            normbench.build_model(settings, norm=norm)
        return
    network = normbench.build_model(settings, norm=norm, num_classes=7, in_channels=3)
    images = torch.rand(2, 3, SIDE, SIDE)
    if norm == "instancenorm" and model in ("deep_linear", "mlp", "rnn"):
        with pytest.raises(ValueError, match="InstanceNorm has nothing to normalize"):
            network(images)
        return
    logits = network(images)
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


OURS = [m for m in config_names("model") if read_config(f"model/{m}")._target_.startswith("norm")]


@pytest.mark.parametrize("model", OURS)
def test_our_models_take_grey_images(model):
    network = normbench.build_model(model, norm="layernorm", in_channels=1)
    side = read_config(f"model/{model}").get("image_size", SIDE)
    assert network(torch.rand(2, 1, side, side)).shape == (2, 10)


def test_a_model_of_colours_is_not_given_grey_images():
    with pytest.raises(UserError, match="resnet18 takes images of 3 channels.*data.mean"):
        normbench.build_model("resnet18", norm="layernorm", in_channels=1)


def test_a_network_without_a_place_for_norms_is_one_without_norm():
    settings = {"name": "regression", "_target_": "normbench.models.mlp.MLP", "widths": []}
    assert len(list(normbench.build_model(settings, norm="none").parameters())) == 2
    with pytest.raises(UserError, match="has no norm at all"):
        normbench.build_model(settings, norm="batchnorm")


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
