"""The synthetic dataset needs nothing, is the same everywhere, and can be learned."""

import pytest
import torch
from omegaconf import OmegaConf

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


def test_nothing_is_written(config, tmp_path, home):
    load_dataset(config("synthetic"))
    assert list(tmp_path.iterdir()) == []
    assert list(home.iterdir()) == []


def test_the_same_seed_draws_the_same_images(config):
    assert load_dataset(config("synthetic")).digest == load_dataset(config("synthetic")).digest


def test_another_seed_draws_others(config):
    settings = config("synthetic")
    first = load_dataset(settings)
    settings["source"]["seed"] = 1
    assert load_dataset(settings).digest != first.digest


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


def test_a_dictconfig_is_as_good_as_a_dict(config):
    settings = config("synthetic")
    assert load_dataset(OmegaConf.create(settings)).digest == load_dataset(settings).digest


def test_datasets_move_between_devices(config):
    data = load_dataset(config("synthetic"))
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
def test_wrong_settings_are_named(config, change, culprit):
    settings = config("synthetic")
    settings["source"] |= change
    with pytest.raises(UserError, match=culprit):
        load_dataset(settings)


def test_images_too_large_for_memory_are_named(config):
    with pytest.raises(UserError, match="smaller data.image_size"):
        load_dataset(config("synthetic", image_size=10**7))


@pytest.fixture
def one_thread():
    """Small layers crawl when threads wait for cores that other processes keep busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_classes_can_be_learned_but_not_from_average_colour(config, one_thread):
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
