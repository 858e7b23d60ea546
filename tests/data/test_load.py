"""What every dataset's config has in common, and who opens a dataset when."""

import pytest

from normbench.data.load import SETTINGS, Datasets, load_dataset
from normbench.errors import UserError
from normbench.places import config_names

every_dataset = pytest.mark.parametrize("name", config_names("data"))


@every_dataset
def test_a_config_has_every_setting_and_the_name_of_its_file(config, name):
    settings = config(name)
    assert {*SETTINGS, "augment"} == settings.keys()
    assert settings["name"] == name and settings["source"]["_partial_"] is True


@every_dataset
def test_it_can_be_opened_or_one_line_says_what_is_missing(config, name, tmp_path):
    settings = config(name, root=str(tmp_path), download=False, image_size=8)
    try:
        data = load_dataset(settings)
    except UserError as error:
        assert "\n" not in str(error) and "data." in str(error)
    else:
        assert data.name == name
        assert data.train.images.shape[1:] == data.val.images.shape[1:] == (8, 8, 3)


@every_dataset
def test_a_setting_that_its_source_does_not_have_is_named(config, name):
    settings = config(name)
    settings["source"]["colour"] = "red"
    with pytest.raises(UserError, match="data.source.*colour"):
        load_dataset(settings)


def test_a_command_opens_each_dataset_once(config):
    settings, datasets = config("synthetic", image_size=8), Datasets()
    settings["source"] |= {"train_size": 20, "val_size": 10}
    first = datasets.open(settings)
    assert datasets.open(dict(reversed(settings.items()))) is first
    assert datasets.open(settings | {"image_size": 9}) is not first


@pytest.mark.parametrize(
    "changes",
    [{"mean": [0.5, 0.5]}, {"mean": [0.5]}, {"std": [0.5]}, {"std": [0.0, 1, 1]}, {"mean": []}],
    ids=str,
)
def test_means_and_deviations_are_of_three_colours_or_of_grey(config, changes):
    with pytest.raises(UserError, match="data.(mean|std)="):
        load_dataset(config("synthetic", image_size=8) | changes)


def test_the_prepared_files_of_grey_and_of_colours_are_two(config, folder):
    settings = config("imagefolder", root=str(folder), image_size=8)
    colours = load_dataset(settings)
    grey = load_dataset(settings | {"mean": [0.5], "std": [0.5]})
    assert colours.train.images.shape[3] == 3 and grey.train.images.shape[3] == 1
    assert load_dataset(settings).digest == colours.digest != grey.digest
