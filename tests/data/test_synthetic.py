"""The synthetic dataset needs nothing, is the same everywhere, and can be learned."""

import pytest
import torch

from normbench.data.load import load_dataset
from normbench.errors import UserError


def test_ten_classes_in_equal_numbers(config):
    data = load_dataset(config("synthetic"))
    assert len(data.classes) == len(set(data.classes)) == 10
    assert data.train.images.shape == (2000, 32, 32, 3)
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.bincount().tolist() == [200] * 10
    assert data.val.labels.bincount().tolist() == [100] * 10
    assert data.identity is None


@pytest.fixture
def few(config):
    """few(**changes): settings of 200 and 100 images, some of the source's changed."""

    def make(**changes):
        settings = config("synthetic")
        settings["source"] |= {"train_size": 200, "val_size": 100} | changes
        return settings

    return make


def test_nothing_is_written(few, tmp_path, home):
    load_dataset(few())
    assert list(tmp_path.iterdir()) == []
    assert list(home.iterdir()) == []


def test_the_same_seed_draws_the_same_images_and_another_one_others(few):
    digests = [load_dataset(few(**seed)).digest for seed in ({}, {"seed": 0}, {"seed": 1})]
    assert digests[0] == digests[1] != digests[2]


def test_no_image_is_in_both_splits(config):
    data = load_dataset(config("synthetic"))
    train = {image.numpy().tobytes() for image in data.train.images}
    val = {image.numpy().tobytes() for image in data.val.images}
    assert len(train | val) == 3000


def test_size_and_counts_are_settings(config):
    settings = config("synthetic", image_size=9)
    settings["source"] |= {"train_size": 25, "val_size": 3}
    data = load_dataset(settings)
    assert data.train.images.shape == (25, 9, 9, 3)
    assert data.val.images.shape == (3, 9, 9, 3)


def test_datasets_move_between_devices(few):
    data = load_dataset(few())
    moved = data.to("meta")
    assert moved.train.images.device.type == moved.val.labels.device.type == "meta"
    assert moved.digest == data.digest


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        ({"train_size": 0}, "data.source.train_size=0"),
        ({"val_size": -1}, "data.source.val_size=-1"),
        ({"seed": "x"}, "data.source.seed=x"),
    ],
)
def test_wrong_settings_are_named(few, change, culprit):
    with pytest.raises(UserError, match=culprit):
        load_dataset(few(**change))


def test_images_too_large_for_memory_are_named(config):
    with pytest.raises(UserError, match="smaller data.image_size"):
        load_dataset(config("synthetic", image_size=10**7))


def test_the_classes_can_be_learned_but_not_from_average_colour(config):
    """A small network is far above chance after 3 epochs; a linear view of mean colour is not."""
    data = load_dataset(config("synthetic"))

    def inputs(split):
        return split.images.permute(0, 3, 1, 2).float() / 255

    torch.manual_seed(0)
    layers, channels = [], 3
    for width in (16, 32, 64, 128):
        conv = torch.nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        layers += [conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
        channels = width
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 10)]
    network = torch.nn.Sequential(*layers)
    x, labels = inputs(data.train), data.train.labels
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for batch in torch.cat([torch.randperm(2000) for _ in range(3)]).split(50):
        loss = torch.nn.functional.cross_entropy(network(x[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        right = network(inputs(data.val)).argmax(1) == data.val.labels
    assert right.float().mean() > 0.4

    def averages(split):
        colours = inputs(split).mean((2, 3))
        return torch.cat([colours, torch.ones(len(colours), 1)], 1).double()

    targets = torch.nn.functional.one_hot(labels, 10).double()
    weights = torch.linalg.lstsq(averages(data.train), targets).solution
    right = (averages(data.val) @ weights).argmax(1) == data.val.labels
    assert right.float().mean() < 0.4
