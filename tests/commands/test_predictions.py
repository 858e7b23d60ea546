"""normbench predictions: what frozen protocols predicted, found among stored records."""

import shutil
from pathlib import Path

from made_up import record, stored

PUBLISHED = Path(__file__).parents[2] / "results"


def test_the_published_page_is_what_the_command_writes_from_the_records(normbench_command):
    results = normbench_command.folder / "results"
    shutil.copytree(PUBLISHED / "records", results / "records")
    code, out, err = normbench_command("predictions")
    assert code == 0, err
    page = (results / "predictions.md").read_text()
    assert out.startswith(page)
    assert page == (PUBLISHED / "predictions.md").read_text()
    # as they were counted by hand when the numbers came
    words = [[word.strip() for word in line.split("|")[1:-1]] for line in page.splitlines()]
    assert ["predicted", "accuracy", "6 of 16", "0.038", "0.128"] in words
    without = ["predicted, without running_batchnorm", "accuracy", "6 of 12", "0.022", "0.052"]
    assert without in words
    spearman = [row[4] for row in words if row[:1] == ["cnn4"]]
    assert spearman == ["+0.79", "+0.54", "+0.89", "+0.85"]


def test_a_folder_without_what_was_predicted_is_told_so(normbench_command):
    code, out, err = normbench_command("predictions")
    assert code == 2 and out == "" and "holds no records" in err
    stored(normbench_command.folder / "results", [record(protocol=("optimizer=sgd",))])
    code, out, err = normbench_command("predictions")
    assert code == 2 and out == "" and len(err.splitlines()) == 1
    assert "holds no record of a cell that a calibrated protocol predicted" in err
