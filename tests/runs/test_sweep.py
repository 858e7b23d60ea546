"""What a sweep is cut into."""

import pytest
from omegaconf import OmegaConf
from small_runs import GRID, NAMES

from normbench.runs.sweep import parts_of


@pytest.mark.parametrize(
    ("split", "jobs"), [("none", 1), ("batch_size", 2), ("cell", 4), ("run", 12)]
)
def test_the_parts_of_a_grid_are_the_grid(split, jobs):
    axes = {axis: list(values) for axis, values in GRID._asdict().items()}
    parts = parts_of(OmegaConf.create(axes | {"split": split}))
    assert len(parts) == jobs
    runs = []
    for part in parts:
        runs += GRID.part({axis: [value] for axis, value in part.items()}).runs(NAMES)
    assert [run.key for run in runs] == [run.key for run in GRID.runs(NAMES)]
