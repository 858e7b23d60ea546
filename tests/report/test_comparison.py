"""Ours beside the article's as a page: every cell accounted for."""

import csv
import io
import math
import re

import pytest
from made_up import CELLS, RANKED, article_cell, ranked, record, results, runs

from normbench.analysis.comparison import compare
from normbench.report.comparison import as_csv, markdown


def test_what_the_article_or_the_records_lack_is_shown_as_such():
    cells = [article_cell(), article_cell("batchnorm", std=None, loss=None, loss_std=None)]
    found = results(runs("batchnorm") + runs("groupnorm"))
    rows = compare(found, cells)
    text = markdown(found, rows)
    assert re.search(r"cnn4, none \(calibrated on\)\n\n.*\n.*\n\| +128 \| +0.01 \| not run", text)
    assert "cnn4, groupnorm (not known from the article)" in text
    assert "resnet18, not run here and not known from the article" in text
    assert "article's that were not run here: 1." in text
    (batchnorm,) = [r for r in rows if r.cell.norm == "batchnorm" and r.accuracy.article]
    assert batchnorm.accuracy.apart and batchnorm.loss.apart is None


def test_at_a_glance_each_norm_has_one_line():
    found = results(
        runs("none", accuracy=0.478)
        + runs("none", lr=0.001, accuracy=0.60)
        + runs("groupnorm", accuracy=0.52)
    )
    text = markdown(
        found, compare(found, [article_cell(), article_cell(lr=0.001), article_cell("layernorm")])
    )
    glance = text.partition("## cnn4 at a glance")[2].partition("##")[0]
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in glance.splitlines()
        if line.startswith("|")
    }
    assert cells["norm"] == [f"{size} / {lr:g}" for size, lr in CELLS]
    assert cells["none"] == ["0.48 (0.47) ✓ᶜ", "0.60 (0.47) ✗ᶜ", "–", "–"]
    assert cells["groupnorm"] == ["0.52", "–", "–", "–"]
    assert cells["layernorm"] == ["– (0.47)", "–", "–", "–"]
    assert "ᶜ: the protocol was chosen by this cell" in " ".join(glance.split())
    assert "resnet18 at a glance" not in text


def test_at_a_glance_only_what_was_calibrated_on_is_marked():
    predicted = results(runs("groupnorm", accuracy=0.478))
    text = markdown(predicted, compare(predicted, [article_cell("groupnorm")]))
    assert "0.48 (0.47) ✓ " in text and "ᶜ" not in text


def test_of_a_protocol_that_was_never_calibrated_nothing_is_called_so_nor_predicted():
    sgd = ("optimizer=sgd",)
    found = results(runs("none", protocol=sgd) + runs("groupnorm", protocol=sgd), protocol=sgd)
    rows = compare(found, [article_cell(), article_cell("groupnorm")])
    assert {row.calibrated for row in rows} == {None}
    text = markdown(found, rows)
    assert "ᶜ" not in text and "predicted" not in text and "calibrated" not in text
    assert "cnn4, none (compared)" in text
    one = next(csv.DictReader(io.StringIO(as_csv(rows))))
    assert one["calibrated_on"] == ""


def test_cells_that_diverged_or_are_incomplete_are_named():
    records = [record(norm="none", seed=s, status="diverged") for s in range(3)]
    records += runs("batchnorm")[:2]
    found = results(records)
    text = markdown(found, compare(found, [article_cell(), article_cell("batchnorm")]))
    assert "that diverged here: cnn4 none bs=128 lr=0.01." in text
    assert "bs=128 lr=0.01: 0 of 3 runs; seeds 0, 1, 2 diverged." in text
    assert "bs=128 lr=0.01: 2 of 3 runs." in text


def test_nothing_to_compare():
    found = results(runs("none"))
    assert "nothing to compare" in markdown(found, compare(found, []))


@pytest.mark.parametrize(
    ("protocol", "why"),
    [
        (("data=synthetic",), "their data are synthetic and not imagenette"),
        (
            ("data=imagefolder", "data.name=imagenette", "data.root=/x"),
            "their data are imagenette of imagefolder",
        ),
        (("train.epochs=5",), "they have 5 epochs and not 3"),
        (("train.epochs=1",), "they have 1 epoch and not 3"),
        (("models.cnn4.widths=[8,16]",), "their network has not 4 convolutions"),
    ],
)
def test_runs_of_another_kind_are_not_set_beside_the_articles(protocol, why):
    found = results(runs("none", accuracy=0.478, protocol=protocol), protocol=protocol)
    rows = compare(found, [article_cell(), article_cell("batchnorm")])
    assert all(row.accuracy.article is row.accuracy.apart is None for row in rows)
    text = " ".join(markdown(found, rows).split())
    assert "The article's numbers of cnn4 are left out" in text and why in text
    assert "nothing to compare" in text and "0.47" not in text.replace("0.478", "")


def test_what_the_article_does_not_state_may_be_otherwise():
    sgd = ("optimizer=sgd", "data.image_size=64", "data.source.version=1")
    found = results(runs("none", protocol=sgd), protocol=sgd)
    (row,) = [r for r in compare(found, [article_cell()]) if r.accuracy.article]
    assert row.accuracy.apart and "left out" not in markdown(found, [row])


def test_the_summary_tells_calibrated_cells_from_predicted_ones():
    records = runs("none", accuracy=0.48) + runs("groupnorm", accuracy=0.60)
    found = results(records)
    text = markdown(
        found, compare(found, [article_cell(), article_cell("groupnorm", accuracy=0.40)])
    )
    lines = [[w.strip() for w in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["cnn4, calibrated on", "accuracy", "1 of 1", "0.010", "0.010"] in lines
    assert ["cnn4, predicted", "accuracy", "0 of 1", "0.200", "0.200"] in lines
    assert ["all", "accuracy", "1 of 2", "0.105", "0.200"] in lines
    assert "in accuracy cnn4 groupnorm bs=128 lr=0.01 (0.60 for 0.40)" in " ".join(text.split())


def test_norms_are_ranked_within_a_cell():
    found, rows, _ = ranked()
    assert "+0.94" in markdown(found, rows)


def test_few_norms_are_not_ranked():
    found, rows, _ = ranked(RANKED[:3])
    assert "Not enough norms to correlate: 3 of a cell" in markdown(found, rows)


def test_a_page_is_100_characters_wide():
    found, rows, _ = ranked()
    assert max(map(len, markdown(found, rows).splitlines())) <= 100


def test_the_csv_has_a_line_a_cell_and_no_invented_number():
    found = results(runs("none", accuracy=0.478))
    lines = list(csv.DictReader(io.StringIO(as_csv(compare(found, [article_cell()])))))
    assert len(lines) == 64
    one = lines[0]
    assert (one["model"], one["norm"], one["batch_size"], one["lr"]) == (
        "cnn4",
        "none",
        "128",
        "0.01",
    )
    assert (one["calibrated_on"], one["runs"], one["diverged"]) == ("yes", "3", "0")
    assert (one["accuracy_mean"], one["accuracy_article_mean"]) == ("0.4780", "0.4700")
    assert (one["accuracy_difference"], one["accuracy_agrees"]) == ("0.0080", "yes")
    assert float(one["loss_log_ratio"]) == pytest.approx(math.log(1.5 / 1.59), abs=1e-4)
    assert {lines[1][name] for name in one if "loss" in name or "accuracy" in name} == {""}
