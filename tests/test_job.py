"""A job: what a config comes to, and whatever is typed for whatever setting.

It is taken as meant, or one line names it.
"""

import json
import os
from dataclasses import FrozenInstanceError

import pytest
from command_line import ONE_RUN, TINY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from normbench.cli import register
from normbench.data.load import Datasets
from normbench.errors import UserError
from normbench.explain import explain
from normbench.job import resolve
from normbench.places import config_folder

BASE = [*TINY, *ONE_RUN, "norm=groupnorm"]
GROUPS = ["launcher", "experiment", "candidate"]  # that have nothing chosen yet


WORDS = st.text("abcdefghij_.-", min_size=1, max_size=8)
NUMBERS = st.one_of(
    st.integers(-3, 200), st.sampled_from(["-0.0", "1e400", "nan", "inf", "1e-400", "0x10", "1_0"])
)
SINGLE = st.one_of(
    st.sampled_from(["true", "false", "null", "", "''", "'a b'", "'\\U0001f999'", "${x}", "???"]),
    NUMBERS.map(str),
    WORDS,
)
VALUES = st.one_of(
    SINGLE,
    st.lists(SINGLE, max_size=3).map(lambda values: f"[{','.join(values)}]"),
    st.tuples(WORDS, SINGLE).map(lambda pair: f"{{{pair[0]}:{pair[1]}}}"),
)


def every_setting():
    """Whatever a user may type: groups, nodes and leaves of the config, and what there is not."""

    def below(node, path):
        yield path
        if isinstance(node, DictConfig):
            for key in node:
                yield from below(node._get_node(key), f"{path}.{key}")

    config = compose("run", overrides=BASE)
    found = [path for key in config for path in below(config._get_node(key), key)]
    return st.sampled_from([*found, *GROUPS, "nowhere"])


def any_value(examples):
    """Calls a test with so many pairs of a setting and a value."""
    pairs = given(setting=st.deferred(every_setting), value=VALUES)
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize="NORMBENCH_EXAMPLES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: chosen(pairs(test))


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    register("run")
    GlobalHydra.instance().clear()
    with (
        pytest.MonkeyPatch.context() as patch,
        initialize_config_dir(str(config_folder()), version_base="1.3"),
    ):
        patch.chdir(tmp_path_factory.mktemp("work"))
        yield


def resolved(*overrides):
    typed = [*BASE, *overrides]
    return resolve(compose("run", overrides=typed), typed, Datasets())


def assert_taken_or_named(override):
    try:
        resolved(override)
    except Exception as error:
        line = str(error) if isinstance(error, UserError) else explain(error)
        assert line and "\n" not in line, repr(error)


def test_a_job_holds_plain_values_and_cannot_be_changed(configs):
    job = resolved("train.precision=auto", "grid.seeds=[0,1]", "engine.lanes=2")
    assert (job.recipe.device, job.settings["train"]["precision"]) == ("cpu", "fp32")
    assert job.lanes == 2 and job.steps(20) == 6
    assert [run.seed for run in job.runs] == [0, 1]
    assert json.loads(json.dumps(job.settings)) == job.settings
    with pytest.raises(FrozenInstanceError):
        job.lanes = 3


def test_a_part_is_a_job_of_the_same_grid(configs):
    whole = resolved("grid.seeds=[0,1]")
    part = whole.of({"seeds": 1})
    assert part.is_part and not whole.is_part
    assert part.grid == whole.grid and part.settings == whole.settings
    assert [run.key for run in part.runs] == [whole.runs[1].key]
    typed = resolved("grid.seeds=[0,1]", "grid.part.seeds=[1]")
    assert [run.key for run in typed.runs] == [run.key for run in part.runs] and typed.is_part


@any_value(25)
def test_any_value_for_any_setting(configs, setting, value):
    assert_taken_or_named(f"{setting}={value}")


@pytest.mark.slow
@any_value(int(os.environ.get("NORMBENCH_EXAMPLES", 100)))
def test_any_value_for_any_setting_at_length(configs, setting, value):
    assert_taken_or_named(f"{setting}={value}")
