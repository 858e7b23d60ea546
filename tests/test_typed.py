"""Settings of Python's as one types them: Hydra reads what was meant."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from normbench.errors import UserError
from normbench.typed import OTHER_THAN_TEXT, Typed, choices, text

PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])
TEXTS = st.text(PRINTABLE).filter(lambda value: "${" not in value)
SINGLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
NAMES = st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True).filter(lambda n: n not in OTHER_THAN_TEXT)
VALUES = st.recursive(SINGLE, lambda of: st.lists(of) | st.dictionaries(NAMES, of), max_leaves=5)


def read(word):
    (override,) = OverridesParser.create().parse_overrides([word])
    return override.value()


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_value_arrives_as_it_is(value):
    arrived = read(f"key={text(value)}")
    assert arrived == value and type(arrived) is type(value)


def typed(**given):
    words = Typed()
    for key, value in given.items():
        words.add(key, value)
    return words.words


def test_dicts_are_dots_and_a_targets_arguments_need_not_be_there_before():
    assert typed(train={"epochs": 1}, norm="groupnorm", force=True) == [
        "train.epochs=1", "norm=groupnorm", "force=true",
    ]  # fmt: skip
    assert typed(norm={"layer": {"_target_": "mine.Mine", "sizes": (1, 2)}}) == [
        "norm.layer._target_=mine.Mine", "++norm.layer.sizes=[1,2]",
    ]  # fmt: skip


def test_a_class_stands_for_the_part_that_it_makes():
    assert typed(norm=torch.nn.BatchNorm2d) == [
        "++norm.layer._target_=torch.nn.modules.batchnorm.BatchNorm2d"
    ]
    adam = functools.partial(torch.optim.Adam, eps=1e-3)
    assert typed(optimizer=adam) == [
        "++optimizer.eps=0.001", "++optimizer._target_=torch.optim.adam.Adam",
    ]  # fmt: skip


def test_numpys_and_torchs_numbers_and_paths_are_what_they_say():
    values = {"a": np.float64(0.5), "b": np.arange(3), "c": torch.tensor([1, 2]), "d": range(2)}
    assert typed(**values) == ["a=0.5", "b=[0,1,2]", "c=[1,2]", "d=[0,1]"]
    assert read(typed(data={"root": Path("/a b/c")})[0]) == "/a b/c"


def test_a_list_for_a_group_is_one_job_each():
    given = {"norm": ["none", "batchnorm"], "grid.lr": [0.1, 0.2], "model": ("cnn4", "resnet18")}
    jobs = list(choices(given))
    assert [(job["norm"], job["model"]) for job in jobs] == [
        ("none", "cnn4"), ("none", "resnet18"), ("batchnorm", "cnn4"), ("batchnorm", "resnet18"),
    ]  # fmt: skip
    assert all(job["grid.lr"] == [0.1, 0.2] for job in jobs)


def test_what_has_no_value_in_a_config_is_refused():
    with pytest.raises(UserError, match="a.b is a complex: give a number"):
        typed(a={"b": 1j})
