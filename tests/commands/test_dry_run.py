"""--dry-run: what would be trained, how many runs, how long, what is there; nothing is touched."""

import pytest
from command_line import ONE_RUN, TINY


@pytest.fixture
def nb(normbench_command):
    return normbench_command


def snapshot(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def cells(out):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()
            if line.startswith("| ") and "already" not in line]  # fmt: skip


def test_a_sweep_before_and_after_a_part_of_it(nb):
    sweep = [*TINY, *ONE_RUN, "grid.seeds=[0,1]"]
    code, out, err = nb("run", "-m", "--dry-run", *sweep, "norm=none,groupnorm")
    assert (code, err) == (0, "")
    assert "4 runs, 0 already there, 4 to train; how long is not known" in out
    assert "Nothing was trained, fetched or written." in out
    assert list(nb.folder.iterdir()) == []

    assert nb("run", *sweep, "norm=none")[0] == 0
    before = snapshot(nb.folder)
    code, out, _ = nb("run", *sweep, "-m", "norm=none,groupnorm", "--dry-run")
    assert code == 0 and "4 runs, 2 already there, 2 to train: about" in out
    none, groupnorm = cells(out)
    assert none[2:7] == ["none", "20", "2", "2", ""]
    assert groupnorm[2:7] == ["groupnorm", "20", "2", "", "2"] and groupnorm[7].endswith("s")
    _, out, _ = nb("run", *sweep, "norm=none", "force=true", "--dry-run")
    assert "2 runs, 0 already there, 2 to train (2 of them again)" in out
    assert snapshot(nb.folder) == before


def test_a_probe_and_a_tuned_sweep(nb):
    _, out, _ = nb("probe", "--dry-run", *TINY, *ONE_RUN, "probe.steps=2")
    assert len(cells(out)) == 5 and "gradients of synthetic" in out
    _, out, _ = nb("run", "--dry-run", *TINY, "grid.batch_size=[20]", "tune=3", "grid.seeds=[0,1]")
    trials = 3 * 2  # candidates, and seeds that choose among them
    assert f"{trials + 2} runs, 0 already there" in out
    assert list(nb.folder.iterdir()) == []


def test_data_that_would_have_to_be_fetched_are_not(nb):
    code, out, err = nb("run", "--dry-run", "device=cpu", "norm=none")
    assert (code, err) == (0, "") and "imagenette would be fetched first" in out
    assert not any((nb.folder.parent / "home").iterdir()) and list(nb.folder.iterdir()) == []


def test_what_is_wrong_is_told_as_by_the_command_itself(nb):
    for wrong in ("grid.lr=[0]", "norm.layer._target_=nowhere.Mine", "data.root=/nowhere"):
        dry, real = (nb("run", *flag, wrong) for flag in (["--dry-run"], []))
        assert dry[0] == 2 and dry == real


def test_a_command_that_trains_nothing_has_none(nb):
    code, _, err = nb("table", "--dry-run")
    assert code == 2 and "unrecognized arguments: --dry-run" in err
