"""Models take any norm, and know none."""

import pytest
import torch
from torch import nn

import normbench
from normbench.errors import UserError
from normbench.places import config_names

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
    network = normbench.build_model(model, norm=norm, num_classes=7)
    logits = network(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


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
