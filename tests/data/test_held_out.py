"""A part of the training images in place of the validation split: fixed, of every class, unseen."""

import pytest
import torch
from made_up import settings

from normbench.data.load import load_dataset
from normbench.errors import UserError
from normbench.settings import outcome_settings


@pytest.fixture
def opened(config):
    def open_(**changes):
        settings = config("synthetic", image_size=8, **changes)
        settings["source"] |= {"train_size": 200, "val_size": 30}
        return load_dataset(settings)

    return open_


def rows(split):
    return {(bytes(i.numpy()), int(n)) for i, n in zip(split.images, split.labels, strict=True)}


def test_both_parts_are_the_training_set_and_nothing_of_the_validation_split(opened):
    whole, cut = opened(), opened(held_out=0.2)
    assert rows(cut.train) | rows(cut.val) == rows(whole.train)
    assert not rows(cut.train) & rows(cut.val) and not rows(cut.val) & rows(whole.val)


def test_it_has_the_share_of_every_class_spread_over_the_files(opened):
    whole, cut = opened(), opened(held_out=0.2)
    for label in range(10):
        of_class = (whole.train.labels == label).sum()
        assert (cut.val.labels == label).sum() == round(0.2 * int(of_class))
    places = [
        (whole.train.images == image).flatten(1).all(1).nonzero().item() for image in cut.val.images
    ]
    assert places == sorted(places) and min(places) < 20 and max(places) >= 180


def test_it_is_the_same_each_time_and_its_pixels_are_told_from_the_whole(opened):
    one, other = opened(held_out=0.1), opened(held_out=0.1)
    assert torch.equal(one.val.images, other.val.images) and one.digest == other.digest
    assert len({one.digest, opened().digest, opened(held_out=0.2).digest}) == 3


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan"), "some", 0.0001, 0.9999])
def test_a_share_that_leaves_nothing_is_named(opened, share):
    with pytest.raises(UserError, match="data.held_out"):
        opened(held_out=share)


def test_runs_without_it_are_called_as_before_it_was_there():
    config = settings()["cnn4", "none"]
    plain = outcome_settings(config, "fp32")
    assert "held_out" not in plain["data"]
    assert outcome_settings(config | {"data": config["data"] | {"held_out": 0.0}}, "fp32") == plain
    held = outcome_settings(config | {"data": config["data"] | {"held_out": 0.1}}, "fp32")
    assert held["data"]["held_out"] == 0.1
