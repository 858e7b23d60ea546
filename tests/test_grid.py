"""Grids and their parts, and the runs of each."""

import pytest
from small_runs import GRID, NAMES

from normbench.config import SPLITS
from normbench.grid import Grid, Run


def test_a_grids_runs_come_cell_by_cell_in_its_order():
    runs = GRID.runs(NAMES)
    assert [(run.batch_size, run.lr, run.seed) for run in runs[:4]] == [
        (128, 0.01, 0), (128, 0.01, 1), (128, 0.01, 2), (128, 0.001, 0),
    ]  # fmt: skip
    assert len({run.key for run in runs}) == len(runs) == 12


def test_a_grid_is_made_of_a_config():
    config = {"batch_size": [128, 2], "lr": [0.01, 0.001], "seeds": [0, 1, 2], "split": "none"}
    assert Grid.of(config) == GRID


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_a_part_has_fewer_values_of_what_is_cut(cut):
    part = GRID.part({axis: [getattr(GRID, axis)[-1]] for axis in cut})
    assert (part == GRID) == (not cut)
    for axis in Grid._fields:
        values = getattr(GRID, axis)
        assert getattr(part, axis) == (values[-1:] if axis in cut else values)
    assert GRID.part(dict.fromkeys(Grid._fields)) == GRID


def test_a_run_has_one_key_wherever_it_is_asked_for():
    run = Run(NAMES, 2, 0.01, 0)
    assert run.key is run.key and Run(NAMES, 2, 0.01, 0).key == run.key
    assert str(run) == "cnn4 none bs=2 lr=0.01 seed=0"
