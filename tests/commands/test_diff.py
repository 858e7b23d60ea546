"""Two results folders side by side, or two versions of a layer."""

import pytest
from command_line import ONE_RUN, TINY
from made_up import record, runs, stored


def rows(out):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()
            if line.startswith("| imagenette")]  # fmt: skip


@pytest.fixture
def folder(normbench_command):
    return normbench_command.folder


def test_cells_are_told_apart_or_not(normbench_command, folder):
    stored(folder / "a", [*runs("none"), *runs("groupnorm"), *runs("layernorm")])
    stored(
        folder / "b",
        [*runs("none"), *runs("groupnorm", accuracy=0.6), *runs("layernorm", accuracy=0.505)],
    )
    code, out, err = normbench_command("diff", "a", "b")
    assert code == 0, err
    words = {row[2]: row[-1] for row in rows(out)}
    assert words == {"none": "the same bits", "groupnorm": "apart", "layernorm": "not told apart"}
    (groupnorm,) = (row for row in rows(out) if row[2] == "groupnorm")
    # by hand: 0.1 ± t(4, 0.975) sqrt(2 * 0.01² / 3)
    assert groupnorm[5:8] == ["0.50 ± 0.01", "0.60 ± 0.01", "+0.100 [+0.077, +0.123]"]
    assert "Of 3 cells that both have, 1 are apart beyond noise" in " ".join(out.split())


def test_settings_that_differ_are_named_and_what_one_folder_alone_has(normbench_command, folder):
    stored(folder / "a", [*runs("none"), *runs("ws_bcn")])
    stored(folder / "b", runs("none", protocol=("train.epochs=5",)))
    code, out, err = normbench_command("diff", "a", "b")
    assert code == 0, err
    assert "## train.epochs: 3 → 5" in out
    assert "Only in A: cnn4 on imagenette, ws_bcn, bs=128 lr=0.01" in out


def test_one_run_a_side_cannot_tell(normbench_command, folder):
    stored(folder / "a", [record()])
    stored(folder / "b", [record(accuracy=0.6)])
    assert rows(normbench_command("diff", "a", "b")[1])[0][-1] == "cannot be told"


LAYER = """
from torch import nn

class Mine(nn.Identity):
    def __init__(self, num_channels):
        super().__init__()

    def forward(self, x):
        return {what}
"""


def test_versions_of_a_layer(normbench_command, folder):
    own = [*TINY, *ONE_RUN, "norm.layer._target_=mine.Mine", "grid.seeds=[0,1]"]
    for what in ("x * 0.1", "x * 30"):
        (folder / "mine.py").write_text(LAYER.format(what=what))
        assert normbench_command("run", *own)[0] == 0
    code, out, err = normbench_command("diff")
    assert code == 0, err
    assert "A: mine.Mine " in out and "set aside. B: as it is now" in out
    assert "## other code of mine.Mine" in out and "Of 1 cell that both have" in out


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["a", "a", "a"], "takes one folder or two, not 3"),
        (["a"], "a has no older version of a layer of yours"),
        (["a", "empty"], "empty holds no records"),
    ],
)
def test_what_cannot_be_set_side_by_side_is_told_in_a_line(normbench_command, folder, typed, line):
    stored(folder / "a", [record()])
    (folder / "empty").mkdir()
    code, _, err = normbench_command("diff", *typed)
    assert code == 2 and line in err and err.count("\n") == 1
