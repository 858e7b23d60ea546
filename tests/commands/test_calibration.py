"""normbench calibration: candidate protocols scored, from stored records."""

from made_up import record, stored

PLACES = [(128, 0.01), (128, 0.001), (2, 0.01), (2, 0.001)]
SGD = ("optimizer=sgd", "schedule=constant")


def candidate(accuracy, protocol=()):
    return [
        record(norm=norm, batch_size=bs, lr=lr, accuracy=accuracy, protocol=protocol)
        for norm in ("none", "batchnorm", "layernorm")
        for bs, lr in PLACES
    ]


def test_every_candidate_among_the_records_is_scored_and_the_best_comes_first(normbench_command):
    folder = normbench_command.folder / "results" / "calibration"
    elsewhere = [record(norm="ws_groupnorm"), record(model="resnet18", norm="none")]
    stored(folder, candidate(0.5) + candidate(0.1, SGD) + elsewhere)
    code, out, err = normbench_command("calibration")
    assert code == 0, err
    report = folder.with_name("calibration.md").read_text()
    assert out.startswith(report)
    scores = report.partition("## Scores")[2].partition("## Accuracies")[0]
    lines = [line for line in scores.splitlines() if "12 of 12" in line]
    assert len(lines) == 2
    assert "the default protocol" in lines[0] and "optimizer.name=sgd" in lines[1]


def test_runs_that_are_not_like_the_articles_are_left_out_and_counted(normbench_command):
    folder = normbench_command.folder / "results" / "calibration"
    stored(folder, candidate(0.5) + candidate(0.47, ("data=synthetic",))[:3])
    code, out, err = normbench_command("calibration")
    assert code == 0, err
    assert "Left out: 3 runs that are not like the article's" in out
    assert out.count("12 of 12") == 1 and "synthetic" not in out


def test_a_protocol_that_was_never_calibrated_is_looked_at_on_every_cell(normbench_command):
    stored(normbench_command.folder / "results" / "calibration", candidate(0.5, SGD))
    code, out, err = normbench_command("calibration", *SGD)
    assert code == 0, err
    assert "12 of 28" in out and "12 of 12" not in out and "No candidate here was chosen" in out


def test_without_candidates_it_says_how_to_train_them(normbench_command):
    code, out, err = normbench_command("calibration")
    assert code == 2 and out == ""
    assert "normbench run -m experiment=calibrate" in err and len(err.splitlines()) == 1
