"""Names of layers: what readers call them, and the module's own where that is not known."""

import pytest
from torch import nn

from normbench.calculus.batch_loss import layers_of
from normbench.drawing.layers import layer_groups, layer_names, said_of_groups
from normbench.models import build_model
from normbench.models.cnn4 import CNN4
from normbench.probes.watching import find_convolutions

CONVOLUTIONS = ["convolution 1", "convolution 2", "convolution 3", "convolution 4"]


def record(names, picked=None):
    return {"measured": {"layers": names}, "config": {"probe": {"layers": picked}}}


def convolutions(model):
    return layer_names(record(list(find_convolutions(model))))


def all_but_the_first(model):
    return layer_names(record([layer.name for layer in layers_of(model)][1:]), before=1)


@pytest.mark.parametrize("order", ["relu_norm", "norm_relu"])
@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
def test_of_the_4_layer_network(order, downsampling):
    model = CNN4(nn.BatchNorm2d, order=order, downsampling=downsampling)
    assert convolutions(model) == CONVOLUTIONS
    assert all_but_the_first(model) == [*CONVOLUTIONS[1:], "linear"]


def test_of_a_resnet():
    model = build_model("resnet18")
    names = convolutions(model)
    assert names[:3] == ["stem", "stage 1, block 1, conv 1", "stage 1, block 1, conv 2"]
    assert names[7] == "stage 2, block 1, shortcut"
    assert names[-1] == "stage 4, block 2, conv 2"
    assert len(set(names)) == 20
    assert all_but_the_first(model) == [*names[1:], "linear"]


def test_of_a_plain_sequence_with_several_linear_layers():
    class Vgg(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
            self.classifier = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

    assert convolutions(Vgg()) == CONVOLUTIONS[:2]
    assert all_but_the_first(Vgg()) == ["convolution 2", "linear 1", "linear 2"]
    bare = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    assert convolutions(bare) == CONVOLUTIONS[:2]


@pytest.mark.parametrize(
    ("names", "before"),
    [
        (["stem.0", "blocks.0.conv", "blocks.1.conv"], 0),
        (["conv1", "conv2"], 0),
        (["encoder.0", "decoder.0"], 0),
        (["1", "3"], 1),  # the last may be a linear layer
        (["body.1", "body.3", "head"], 1),  # any may be one
        (["head", "features.3"], 1),
    ],
)
def test_what_is_built_otherwise_keeps_its_modules_names(names, before):
    assert layer_names(record(names), before) == names


def test_layers_that_the_user_picked_are_called_as_the_user_does():
    picked = ["features.0", "features.6"]
    assert layer_names(record(picked, picked)) == picked


def test_a_few_layers_are_shown_each_by_itself():
    few = record(list(find_convolutions(CNN4(nn.BatchNorm2d))))
    assert layer_groups(few) == {name: [i] for i, name in enumerate(CONVOLUTIONS)}
    assert said_of_groups(few) == ""


def test_a_resnet_is_shown_by_its_stages():
    deep = record(list(find_convolutions(build_model("resnet18"))))
    groups = layer_groups(deep)
    assert list(groups) == ["stem", "stage 1", "stage 2", "stage 3", "stage 4"]
    assert [len(which) for which in groups.values()] == [1, 4, 5, 5, 5]
    assert sum(groups.values(), []) == list(range(20))
    assert "each stage" in said_of_groups(deep)


@pytest.mark.parametrize("depth", [7, 13, 108])
def test_another_deep_network_is_shown_in_parts_of_about_as_many_layers(depth):
    deep = record([f"blocks.{i}.conv" for i in range(depth)])
    groups = layer_groups(deep)
    sizes = [len(which) for which in groups.values()]
    assert len(groups) == 5 and max(sizes) - min(sizes) <= 1
    assert sum(groups.values(), []) == list(range(depth))
    assert list(groups)[-1].endswith(f"to {depth}")
