"""Lanes as a job wants them: what a run goes on from."""

import dataclasses

import pytest
import small_runs
import torch

from normbench.engine.training import train
from normbench.grid import Run
from normbench.job import Recipe
from normbench.runs.lanes import checkpoint_of

CPU = torch.device("cpu")
DATA = small_runs.dataset()
RUN = Run({"model": {"name": "cnn4"}, "norm": {"name": "none"}}, 8, 0.01, 0)


def recipe(**changes):
    settings = {"source": {}, "device": "cpu", "threads": 1, "checkpoint_always": True}
    return Recipe(**settings | changes)


def first_step(run, made):
    """Where training begins: after the epochs that a checkpoint holds."""
    steps = []
    train(small_runs.plan(), DATA, CPU, steps.append, checkpoint_of(run, made, DATA))
    return steps[0]


def test_a_run_goes_on_from_what_was_kept_of_it(tmp_path):
    assert first_step(RUN, recipe(results=tmp_path)) == 0
    assert first_step(RUN, recipe(results=tmp_path)) == 6
    other = dataclasses.replace(RUN, seed=1)
    assert first_step(other, recipe(results=tmp_path)) == 0


@pytest.mark.parametrize("change", [{"threads": 2}, {"code": "of tomorrow"}], ids=str)
def test_what_another_way_of_training_kept_is_not_gone_on_from(tmp_path, caplog, change):
    assert first_step(RUN, recipe(results=tmp_path)) == 0
    assert first_step(RUN, recipe(results=tmp_path, **change)) == 0
    assert "is of other code or data" in caplog.text


def test_without_a_folder_nothing_is_kept():
    assert checkpoint_of(RUN, recipe(results=None), DATA) is None
