"""normbench study, as a user types it."""

import pytest
from command_line import ONE_RUN, TINY

from normbench.studies import study_names


@pytest.fixture
def nb(normbench_command):
    return normbench_command


def test_the_list_says_what_each_costs_decides_and_how_far_it_is(nb):
    code, out, err = nb("study")
    assert code == 0, err
    rows = [line for line in out.splitlines() if line.startswith("|")][2:]
    assert [row.split("|")[2].strip() for row in rows] == study_names()
    assert all(row.split("|")[6].strip() == "not run" for row in rows)
    assert not (nb.folder / "results").exists()


@pytest.mark.slow
def test_a_study_goes_from_nothing_to_verdict_and_figure_and_is_not_measured_twice(nb):
    code, out, err = nb("study", "half_precision", "engine.lanes=1")
    assert code == 0, err
    assert "BatchNorm's statistics are unstable in fp16: " in out
    folder = nb.folder / "results" / "studies" / "half_precision"
    records = {p: p.read_bytes() for p in (folder / "probes" / "half_precision").glob("*.json")}
    assert len(records) == 5
    drawn = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert {"verdicts.png", "verdicts.svg"} <= set(drawn)
    page = (folder / "study.md").read_text()
    assert "Supported if: It is above 0.01 in fp16" in page
    assert "normbench probe -m probe=half_precision" in page  # what it did, to type by oneself

    code, out, _ = nb("study", "half_precision")
    assert code == 0
    assert {p: p.read_bytes() for p in records} == records
    assert (folder / "study.md").read_text() == page
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == drawn
    (row,) = (line for line in nb("study")[1].splitlines() if "half_precision" in line)
    assert "1 supported" in row

    # what is there is judged beside the article's claims
    assert nb("run", *TINY, *ONE_RUN)[0] == 0
    code, out, err = nb("claims", "data=synthetic")
    assert code == 2 or "Study 20. BatchNorm in half precision" in out


@pytest.mark.slow
def test_a_study_whose_data_is_missing_says_what_to_fetch(nb):
    code, _, err = nb.process("study", "first_order", "data.download=false", "data.root=.")
    assert code == 2
    first, *_, last = [line for line in err.splitlines() if line.startswith("normbench: ")]
    assert "MNIST" in first and "data.download=true" in first
    assert "not run for want of what is named above: first_order" in last


def test_names_and_sizes_that_are_not_known_are_one_line(nb):
    for typed, said in (
        (["nothing"], "study nothing is not known"),
        (["cost", "study.scale=huge"], "study.scale=huge is not known: choose small or full"),
        (["cost", "placement"], "study"),
    ):
        code, out, err = nb("study", *typed)
        assert code == 2 and out == ""
        (line,) = err.splitlines()
        assert said in line
