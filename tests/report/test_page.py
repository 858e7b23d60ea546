"""The page: the records' numbers, nothing of theirs taken for HTML, nothing loaded."""

import math
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from made_up import probe_record, record, runs, stored
from pages import EVIL, PageReader, digest, probed, watched

from normbench.analysis.welch import Estimate
from normbench.claims.rules import Part
from normbench.report.page.anything import of_any
from normbench.report.page.charts import DETAILS, Axis, Chart, Line, Panel, centre, short
from normbench.report.page.verdicts import Noted, strip
from normbench.report.page.write import markdown, number, signed

ROOT = Path(__file__).parents[2]
EMPTY = "Nothing has been measured yet in this folder."


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of two of a cell's runs, another norm's, a norm with an evil name on other data, one
    that diverged, and a training that was watched."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "work" / "results").mkdir(parents=True)
    (folder / "home").mkdir()
    evil = [_named(one, EVIL) for one in runs("batchnorm", protocol=("data=synthetic",))]
    for one in evil:
        one["environment"] = one["environment"] | {"device": EVIL, "commit": "</style><b>"}
    diverged = [record(norm="layernorm", seed=seed, status="diverged") for seed in range(3)]
    whole = runs("batchnorm", accuracy=0.4321, spread=0.02)
    results = stored(folder / "work" / "results", whole + runs("none")[:2] + evil + diverged)
    probed(
        results, [*watched("none", 0, 1.5), probe_record("domain_shift", {"shifts": []}, "none")]
    )
    probed(results, watched("batchnorm", 0, 1.5) + watched("batchnorm", 1, 1.5))
    code, out, err = CommandLine(folder / "work")("report")
    assert code == 0, err
    assert out == "Written: results/report.html\n"
    return PageReader((results / "report.html").read_text())


def _named(one, name):
    """The same record of a norm of another name, which is the user's own."""
    norm = {"name": name, "layer": {"_target_": "my.Norm"}}
    return one | {"key": f"aa{one['key']}"[:16], "config": one["config"] | {"norm": norm}}


@pytest.fixture
def page_of(normbench_command):
    """records, probe records -> the page of a folder that holds these."""

    def make(records=(), probes=(), folder="results"):
        results = normbench_command.folder / folder
        results.mkdir()
        if records:
            stored(results, records)
        probed(results, probes)
        code, _, err = normbench_command("report", f"results.dir={folder}")
        assert code == 0, err
        return (results / "report.html").read_text()

    return make


def marks_of(page, norm):
    return [
        mark
        for chart in page.data["charts"].values()
        for panel in chart["panels"]
        for mark in panel["marks"]
        if mark["norm"] == norm
    ]


def test_numbers_are_those_of_the_records(made):
    assert "0.43 ± 0.02 (0.59" in made.text  # ours, and the article's
    (panel,) = (
        panel
        for panel in made.data["charts"]["runs-0-cells"]["panels"]
        if panel["title"] == "batch size 128, learning rate 0.01"
    )
    (ours,) = (m for m in panel["marks"] if (m["norm"], m["kind"]) == ("batchnorm", "ours"))
    assert ours["runs"] == pytest.approx([0.4121, 0.4321, 0.4521])
    assert ours["value"] == pytest.approx(0.4321)
    assert (ours["low"], ours["high"]) == pytest.approx((0.4121, 0.4521), abs=1e-4)
    assert {mark["kind"] for mark in panel["marks"]} == {"ours", "article"}


def test_a_layer_and_data_of_ones_own_are_in_tables_charts_and_legend(made):
    assert EVIL in [norm["name"] for norm in made.data["norms"]]
    assert "cnn4 on synthetic" in made.attributes("data-label")
    assert EVIL in made.attributes("data-norm") and marks_of(made, EVIL)


def test_what_looks_like_html_in_a_record_stays_text(made):
    assert EVIL in made.text and "</style><b>" in made.text
    assert 'alert("norm")' not in " ".join(made.scripts)
    assert len(made.scripts) == 3
    assert not any(name.startswith("on") for _, attributes in made.elements for name in attributes)


def test_nothing_is_loaded_and_no_script_runs_but_the_pages_own(made):
    assert made.policy["default-src"] == ["'none'"]
    assert made.policy["script-src"] == [digest(script) for script in made.scripts]
    assert not made.attributes("src")
    assert not {tag for tag, _ in made.elements} & {"link", "iframe", "img", "object", "base"}
    assert all(not href.startswith("//") for href in made.attributes("href"))


def test_every_link_inside_of_the_page_leads_somewhere_and_no_id_is_there_twice(made):
    assert len(made.ids) == len(set(made.ids))
    assert {href[1:] for href in made.attributes("href") if href[:1] == "#"} <= set(made.ids)
    for name in ("aria-controls", "aria-labelledby"):
        assert set(made.attributes(name)) <= set(made.ids)
    drawn = made.attributes("data-chart")
    assert sorted(drawn) == sorted(set(drawn) & set(made.data["charts"]))


def test_a_part_of_the_grid_says_what_is_missing_and_what_makes_it(made):
    assert "cells are not complete: cnn4 none bs=128 lr=0.01" in made.text
    assert "normbench run -m experiment=article model=cnn4" in made.text
    assert "2 of 3 runs" in made.text
    assert "resnet18 has not been run here" in made.text
    assert "normbench probe probe=ablation" in made.text


def test_records_that_hold_less_than_they_should_do_not_lose_the_page(made):
    assert "What was measured cannot be drawn" in made.text
    assert "normbench probe probe=domain_shift force=true" in made.text


def test_runs_that_diverged_are_named(made):
    assert "seeds 0, 1, 2 diverged" in made.text


def test_a_training_that_was_watched_can_be_gone_through_step_by_step(made):
    (explorer,) = made.data["explorers"]
    assert explorer["last"] == 12 and explorer["missing"] == []
    of = explorer["activations"]["batchnorm"]
    assert of["at"] == [0, 5, 10] and of["layers"] == ["convolution 1", "convolution 2"]
    assert of["percentiles"][1][4] == [2, 4, 6]
    assert explorer["landscape"]["none"]["sizes"] == [0, 0.1, 0.2]
    assert explorer["landscape"]["none"]["losses"][0] == pytest.approx([1.5, 1.5, 3.0])


def test_claims_have_verdicts_intervals_rules_and_records(made):
    assert "Gradients are steadier with BatchNorm than without" in made.text
    assert "All three ratios are above 1." in made.text
    kinds = made.attributes("data-folder")
    assert "records" in kinds and "probes/gradients" in kinds
    keys = dict(zip(kinds, made.attributes("data-keys"), strict=True))["probes/gradients"].split()
    assert len(keys) == 3


def test_an_empty_folder_gives_a_page_that_says_what_to_type(page_of):
    page = PageReader(page_of())
    assert EMPTY in page.text
    for command in ("normbench run experiment=quickstart", "normbench probe probe=ablation"):
        assert command in page.text
    assert page.data["charts"] == {} and page.data["norms"] == []


def test_a_folder_that_is_not_there_is_one_line(normbench_command):
    code, out, err = normbench_command("report", "results.dir=nowhere")
    assert code == 2 and out == ""
    assert len(err.splitlines()) == 1 and "nowhere" in err


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(page_of):
    probes = [one for norm in ("none", "batchnorm") for one in watched(norm, 0)]
    records = runs("none") + runs("batchnorm")
    assert page_of(records, probes) == page_of(records[::-1], probes[::-1], folder="again")


@pytest.mark.slow
def test_a_page_that_would_be_large_is_coarser_and_says_so(page_of, monkeypatch):
    monkeypatch.setattr("normbench.report.page.write.MOST_DATA", 100)
    page = PageReader(page_of(runs("none"), watched("none", 0) + watched("none", 1)))
    assert "its lines have 60 points at most, and means without their seeds" in page.text
    lines = [mark for mark in marks_of(page, "none") if "x" in mark]
    assert lines and not [line for line in lines if line["runs"]]


def test_flags_stand_for_settings_and_the_page_is_shown(normbench_command, monkeypatch):
    (normbench_command.folder / "results").mkdir()
    shown = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    monkeypatch.setattr("normbench.report.page.write.page", lambda article: EMPTY)
    code, _, err = normbench_command("report", "--open")
    assert code == 0, err
    (uri,) = shown
    assert uri.startswith("file:///") and uri.endswith("results/report.html")


def test_watching_writes_anew_when_a_record_is_there_that_was_not(normbench_command, monkeypatch):
    results = normbench_command.folder / "results"
    results.mkdir()
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            stored(results, runs("none"))
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("normbench.interruption.leave", lambda: None)
    monkeypatch.setattr(
        "normbench.report.page.write.page",
        lambda article: str(len(list((article.results / "records").glob("*.json")))),
    )
    _, out, _ = normbench_command("report", "--watch", "every=1")
    assert looks == [1, 1, 1]
    assert out.count("Written:") == 2  # at first, and for the records; not at the third look
    assert (results / "report.html").read_text() == "3"


@pytest.mark.slow
def test_the_committed_page_is_what_the_command_writes(normbench_command):
    results = normbench_command.folder / "results"
    for name in ("records", "probes", "studies"):
        if (ROOT / "results" / name).is_dir():
            shutil.copytree(ROOT / "results" / name, results / name)
    code, _, err = normbench_command("report")
    assert code == 0, err
    written = (results / "report.html").read_bytes()
    assert written == (ROOT / "results" / "report.html").read_bytes()
    assert len(written) <= 3e6


def test_claims_name_the_records_that_they_were_judged_by():
    mapping = Noted({"a": 1, "b": 2, "c": 3})
    assert mapping.get("a") == 1 and mapping["b"] == 2 and mapping.get("z") is None
    assert mapping.seen == ["a", "b", "z"]


def test_a_mean_and_its_spread_are_those_of_the_seeds_that_there_are():
    logs = np.random.default_rng(0).normal(size=(4, 5))
    logs[2, 3] = np.nan
    middle, low, high = centre(logs)
    known = logs[[0, 1, 3], 3]
    assert middle[3] == pytest.approx(known.mean())
    assert high[3] - middle[3] == pytest.approx(statistics.stdev(known))
    geometric = centre(np.exp(logs), geometric=True)
    np.testing.assert_allclose(np.log(geometric), [middle, low, high])


def test_of_one_run_no_spread_is_drawn_and_many_points_are_thinned_with_both_ends():
    line = Line("a", np.arange(1000), np.arange(1000.0)[None], "a").data()
    assert line["low"] is None and line["runs"] == []
    assert len(line["x"]) == DETAILS[0].points and line["x"][0] == 0 and line["x"][-1] == 999
    several = Line("a", np.arange(1000), np.arange(2000.0).reshape(2, 1000), "a")
    coarse = several.data(DETAILS[-1])
    assert len(coarse["mean"]) == DETAILS[-1].points and coarse["runs"] == []
    assert len(several.data()["runs"]) == 2


def test_a_chart_is_described_for_those_who_do_not_see_it():
    chart = Chart("c", "Loss", Axis("step"), Axis("loss"), [Panel("one", []), Panel("two", [])])
    assert chart.alternative.startswith("Lines: Loss, in panels: one; two.")


@pytest.mark.parametrize(
    ("part", "band", "zero"),
    [
        (Part("a", Estimate(1.0, 0.5, 1.5), low=0), "right", True),
        (Part("a", Estimate(1.0, 0.5, 1.5), high=0), "left", True),
        (Part("a", Estimate(2.0, 0.5, 8.0), high=1, ratio=True), "left", True),
    ],
)
def test_a_strip_has_the_interval_where_it_is_in_the_range(part, band, zero):
    found = strip(part)
    low, value, high = found.ours
    assert 0 < low < value < high < 100
    assert found.zero is not None
    edge = found.band[0] if band == "right" else found.band[1]
    assert found.band[1 if band == "right" else 0] == (100 if band == "right" else 0)
    end = part.low if band == "right" else part.high
    assert (edge < low) == (end < part.estimate.low)
    if part.ratio:  # in logarithms, 2 is in the middle between 1/2 and 8
        assert value == pytest.approx((low + high) / 2, abs=0.02)


def test_a_strip_of_infinite_ends_and_of_a_single_number_can_be_drawn():
    assert strip(Part("a", Estimate(0.0, 0.0, 0.0), low=0)) is not None
    assert strip(Part("a", Estimate(0.0, -math.inf, math.inf), low=0)).ours[::2] == (0, 100)
    assert strip(Part("a", None, low=0)) is None


def test_numbers_of_any_probe_are_drawn():
    measured = {
        "at": [0, 5, 10], "drift": [1.0, 2.0, None], "names": ["a", "b"],
        "by_name": {"eval": [0.1, 0.2]}, "one": 3.5, "text": "words",
    }  # fmt: skip
    records = [
        probe_record(
            "gradients",
            measured | {"one": 3.5 + seed, "by_name": {"eval": [0.1 + seed, 0.2 + seed]}},
            seed=seed,
        )
        for seed in (0, 1)
    ]
    lines, dots = of_any(records)
    (panel,) = lines.panels
    assert panel.title == "drift" and panel.marks[0].norm == "batchnorm"
    assert lines.x.label == "training step"
    titles = {panel.title: panel.marks[0].value for panel in dots.panels}
    assert titles == {
        "by name: eval, a": pytest.approx(0.6), "by name: eval, b": pytest.approx(0.7), "one": 4.0,
    }  # fmt: skip


def test_numbers_are_printed_with_a_real_minus_and_no_negative_zero():
    assert number(-0.0001) == "0.00" and number(-1.5) == "−1.50" and number(None) == "–"
    assert signed(0.02) == "+0.02" and signed(-0.02) == "−0.02" and signed(-0.004) == "0.00"
    assert short(1.23456789) == 1.235 and short(math.nan) is None and short(2.0) == 2


def test_markdown_of_a_summary_is_a_table_and_never_html():
    html = str(markdown(f"# Title\n\n| a | b |\n|---|---|\n| {EVIL} | [x](javascript:1) |\n"))
    assert "<table>" in html and "Title" not in html
    assert "<script>" not in html and "href" not in html
