"""A few images for quick tries: fixed, of every class, in the record."""

import pytest
import torch
from made_up import settings

from normbench.data.dataset import Dataset, Split
from normbench.data.limit import limited
from normbench.data.load import load_dataset
from normbench.errors import UserError
from normbench.settings import outcome_settings


def split(labels):
    numbers = torch.arange(len(labels)) % 251
    return Split(numbers.to(torch.uint8).view(-1, 1, 1, 1), torch.tensor(labels))


def dataset(labels):
    return Dataset("made", split(labels), split(labels), ("a", "b", "c"), "digest", "same")


def test_each_class_keeps_its_share_to_within_an_image():
    labels = [0] * 500 + [1] * 300 + [2] * 200
    for limit in (10, 37, 100, 999):
        counts = limited(dataset(labels), limit).train.labels.bincount(minlength=3)
        assert counts.sum() == limit
        assert (counts - limit * torch.tensor([0.5, 0.3, 0.2])).abs().max() <= 1


def test_images_keep_their_labels_and_their_order_and_come_from_everywhere():
    labels = [i % 3 for i in range(240)]
    some = limited(dataset(labels), 24).val
    places = some.images.flatten().long()
    assert torch.equal(some.labels, places % 3)
    assert places.tolist() == sorted(set(places.tolist()))
    assert places.min() < 30 and places.max() >= 210


def test_it_is_the_same_each_time_and_told_from_the_whole_by_its_digest():
    labels = [i % 3 for i in range(240)]
    digests = {limited(dataset(labels), n).digest for n in (24, 24, 25)} | {"digest"}
    assert len(digests) == 3
    assert limited(dataset(labels), 24).identity == "same"


def test_a_limit_above_what_there_is_leaves_all():
    whole = dataset([0, 1, 2])
    assert torch.equal(limited(whole, 10).train.images, whole.train.images)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_that_leaves_nothing_is_refused(config, limit):
    with pytest.raises(UserError, match=f"data.limit={limit} is not valid"):
        load_dataset(config("synthetic", image_size=8, limit=limit))


def test_a_part_is_held_out_of_what_the_limit_leaves(config):
    data = load_dataset(config("synthetic", image_size=8, limit=100, held_out=0.2))
    assert (len(data.train.labels), len(data.val.labels)) == (80, 20)


def test_it_is_in_the_record_and_runs_without_it_are_called_as_before():
    config = settings()["cnn4", "none"]
    plain = outcome_settings(config, "fp32")
    assert "limit" not in plain["data"]
    assert outcome_settings(config | {"data": config["data"] | {"limit": None}}, "fp32") == plain
    some = outcome_settings(config | {"data": config["data"] | {"limit": 100}}, "fp32")
    assert some["data"]["limit"] == 100
