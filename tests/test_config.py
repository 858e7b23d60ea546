"""Configs: every option of every group says its name, and is a job that can be composed."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from normbench.cli import register
from normbench.commands import COMMANDS
from normbench.places import config_folder, config_names, read_config
from normbench.settings import plain

PROTOCOL = ("data", "model", "optimizer", "schedule", "train")
NAMED = ("model", "norm", "data", "optimizer", "schedule")
OPTIONS = [(group, option) for group in NAMED for option in config_names(group)]


@pytest.fixture
def composed():
    """composed(command, *overrides): the config as plain values, checked against its schema."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):

        def make(command, *overrides):
            register(command)
            return plain(compose(command, overrides=list(overrides)))

        yield make


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_config(composed, command):
    assert composed(command)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_an_option_has_the_name_of_its_file(group, option):
    assert read_config(f"{group}/{option}").name == option


@pytest.mark.parametrize("option", config_names("probe"))
def test_so_does_a_probe_though_it_sets_more_than_itself(option):
    config = read_config(f"probe/{option}")
    assert config.probe.name == option and config.probe._target_


@pytest.mark.parametrize("experiment", config_names("experiment"))
def test_an_experiment_is_a_job(composed, experiment):
    assert composed("run", f"experiment={experiment}")["grid"]["seeds"]


@pytest.mark.slow
def test_every_candidate_is_another_protocol(composed):
    found = {}
    for candidate in config_names("candidate"):
        job = composed("run", "experiment=calibrate", f"candidate={candidate}")
        found[candidate] = [
            job[part] for part in ("data", "model", "optimizer", "schedule", "train")
        ]
    for candidate, protocol in found.items():
        same = [other for other, of in found.items() if of == protocol]
        assert same == [candidate]
