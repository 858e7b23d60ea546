"""Predictions as a page: cells that a protocol was not chosen by, apart from those that it was."""

from made_up import CELLS, GRID, runs, settings
from scipy import stats

from normbench.analysis.calibrations import Calibration
from normbench.analysis.comparison import compare
from normbench.analysis.reference import ArticleCell
from normbench.report.predictions import markdown

ARTICLES = {"none": 0.40, "batchnorm": 0.50, "groupnorm": 0.52, "layernorm": 0.48, "ws_bcn": 0.60}
OURS = {"none": 0.41, "batchnorm": 0.50, "groupnorm": 0.54, "layernorm": 0.52, "ws_bcn": 0.50}


def page(fitted=("none",)):
    calibration = Calibration(
        "made-up", "Chosen by chance.", {"cnn4": fitted}, settings("train.precision=fp32"),
        tuple(GRID.values()),
    )  # fmt: skip
    results = calibration.results(
        [
            run
            for norm, accuracy in OURS.items()
            for at in CELLS
            for run in runs(norm, *at, accuracy)
        ]
    )
    cells = [
        ArticleCell("cnn4", norm, bs, lr, accuracy, 0.01, 1.5, 0.02)
        for norm, accuracy in ARTICLES.items()
        for bs, lr in CELLS
    ]
    return markdown([(calibration, results, compare(results, cells, calibration))])


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[word.strip() for word in line.split("|")[1:-1]] for line in lines]


def test_predicted_cells_are_summed_up_apart_from_those_that_were_fitted():
    text = page()
    assert "## The made-up protocol" in text and "Chosen by chance." in text
    # by hand: 0, .02, .04 and .10 apart; .10 is ws_bcn's
    assert ["predicted", "accuracy", "8 of 16", "0.040", "0.100"] in rows(text)
    assert ["predicted, without ws_bcn", "accuracy", "8 of 12", "0.020", "0.040"] in rows(text)
    assert ["calibrated on", "accuracy", "4 of 4", "0.010", "0.010"] in rows(text)


def test_norms_are_ranked_with_and_without_those_that_were_fitted():
    whole = stats.spearmanr(list(OURS.values()), list(ARTICLES.values())).statistic
    few = stats.spearmanr(list(OURS.values())[1:], list(ARTICLES.values())[1:]).statistic
    assert ["cnn4", "128", "0.01", "5", f"{whole:+.2f}", "4", f"{few:+.2f}"] in rows(page())


def test_every_cell_is_shown_once_under_what_it_was():
    predicted, _, fitted = page().partition("### Predicted")[2].partition("### Calibrated on")
    assert [row[0] for row in rows(predicted) if len(row) == 9 and row[1] == "128"] == [
        norm for norm in ("batchnorm", "layernorm", "groupnorm", "ws_bcn") for _ in range(2)
    ]
    assert len([row for row in rows(fitted) if row[0] == "none"]) == 4
    assert "none" not in predicted and "groupnorm" not in fitted


def test_a_protocol_that_was_chosen_by_nothing_predicts_all():
    assert "### Calibrated on" not in page(fitted=())
