"""A norm's settings, which its runs' keys hash: parts that it does not have are no part of them."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from normbench.cli import register
from normbench.places import config_folder, config_names
from normbench.settings import outcome_settings, plain, settle_replaced_parts
from normbench.store.keys import run_key

RECORDS = Path(__file__).parents[2] / "results" / "records"
OF_THE_ARTICLE = [
    "none", "batchnorm", "batchnorm_eps", "running_batchnorm", "layernorm", "groupnorm",
    "ws_groupnorm", "ws_bcn",
]  # fmt: skip


def settings(*overrides):
    """What a run with these overrides is, as `normbench run` would hash it."""
    register("run")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("run", overrides=list(overrides))
    settle_replaced_parts(cfg, overrides)
    return outcome_settings(plain(cfg), "fp32")


@pytest.mark.parametrize("norm", OF_THE_ARTICLE)
def test_every_record_of_a_norm_without_them_keeps_its_key(norm):
    whole = settings("model=cnn4", f"norm={norm}")
    assert set(whole["norm"]) == {"name", "layer", "weight"}
    for batch_size in (128, 2):
        for lr in (0.01, 0.001):
            for seed in (0, 1, 2):
                assert (RECORDS / f"{run_key(whole, batch_size, lr, seed)}.json").is_file()


@pytest.mark.parametrize("norm", config_names("norm"))
def test_a_norm_has_a_layer_a_weight_or_none_and_whatever_else_it_brings(norm):
    found = settings(f"norm={norm}")["norm"]
    assert found["name"] == norm and found["layer"]["_target_"]
    assert found["weight"] is None or found["weight"]["_target_"]
    for part in found.keys() - {"name", "layer", "weight"}:
        assert part in ("activation", "init", "convolution", "clip") and found[part]["_target_"]


def test_an_activation_and_an_initialization_are_part_of_a_run():
    selu = settings("norm=selu")["norm"]
    assert selu["activation"]["_target_"] == "torch.nn.SELU"
    assert selu["init"]["_target_"] == "normbench.norms.lecun_normal"


def test_a_part_that_is_added_makes_another_norm_of_it():
    gelu = settings("norm=groupnorm", "+norm.activation._target_=torch.nn.GELU")["norm"]
    assert gelu["name"] == "groupnorm_GELU"
    assert gelu["activation"] == {"_target_": "torch.nn.GELU"}
    both = settings(
        "norm=none",
        "+norm.weight._target_=normbench.norms.weight_norm",
        "+norm.init._target_=normbench.norms.lecun_normal",
    )["norm"]
    assert both["name"] == "none_weight_norm_lecun_normal"
