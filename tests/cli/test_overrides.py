"""Whatever is typed for whatever setting: it is taken as meant, or one line names it."""

import os

import pytest
from command_line import TINY
from hydra import compose, initialize_config_module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import open_dict

from normbench.commands.run import check
from normbench.config import register_schema
from normbench.errors import UserError
from normbench.explain import explain

BASE = [*TINY, "grid.batch_size=[20]", "grid.lr=[0.01]", "grid.seeds=[0]", "norm=groupnorm"]
SETTINGS = [
    "model", "model.name", "model._target_", "model.widths", "model.kernel_size", "model.head",
    "model.conv_bias", "norm", "norm.name", "norm.layer", "norm.layer._target_",
    "norm.layer.num_groups", "norm.weight", "data", "data.name", "data.source", "data.source.seed",
    "data.source._target_", "data.source.train_size", "data.root", "data.cache", "data.download",
    "data.image_size", "data.fit", "data.augment", "data.mean", "data.std", "optimizer",
    "optimizer._target_", "optimizer.name", "optimizer.betas", "optimizer.eps", "schedule",
    "schedule._target_", "schedule.name", "grid", "grid.batch_size", "grid.lr", "grid.seeds",
    "grid.split", "grid.part", "grid.part.lr", "train", "train.epochs", "train.precision",
    "train.checkpoint", "engine.lanes", "engine.threads", "engine.cores", "device", "force",
    "results.dir", "launcher", "experiment", "nowhere",
]  # fmt: skip

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


@pytest.fixture(scope="module")
def configs():
    register_schema()
    with initialize_config_module("normbench.configs", version_base="1.3"):
        yield


@settings(
    max_examples=int(os.environ.get("NORMBENCH_EXAMPLES", 40)),
    deadline=None,
    derandomize="NORMBENCH_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(setting=st.sampled_from(SETTINGS), value=VALUES)
def test_any_value_for_any_setting(configs, tmp_path_factory, monkeypatch_module, setting, value):
    monkeypatch_module.chdir(tmp_path_factory.mktemp("work"))
    typed = [*BASE, f"{setting}={value}"]
    try:
        config = compose("run", overrides=typed)
        with open_dict(config):
            config.pop("hydra", None)
        check(config, typed)
    except Exception as error:
        line = str(error) if isinstance(error, UserError) else explain(error)
        assert line and "\n" not in line, repr(error)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch
