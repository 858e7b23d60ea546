"""The page, CSVs and figures of a ranking: what is certain, in words, and what is not."""

import csv
import io
from pathlib import Path

import pytest
from drawn import caption_of, legend_of, rows_of
from made_up import CELLS, probe_record, record, runs

from normbench.analysis.ranking import rankings
from normbench.report.rank import View, cells_csv, markdown, pairs_csv
from normbench.report.rank_figure import curves_figure, ranking_figure
from normbench.report.rank_pages import write_page

BEST = {"none": 0.40, "batchnorm": 0.50, "groupnorm": 0.505}
FIELD = [
    r
    for norm, accuracy in BEST.items()
    for bs, lr in CELLS[:2]
    for r in runs(norm, bs, lr, accuracy, 0.004)
]


def view(records=FIELD, baseline="batchnorm", about=(), tell=0.02, **changes):
    ((settings, ranking),) = rankings(records)
    return View(ranking, settings, baseline, about, tell, **changes)


def section(text, heading):
    return text.partition(f"## {heading}\n\n")[2].partition("\n\n## ")[0]


def words(text):
    return " ".join(text.split())


def rows(table):
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_one_table_has_all_norms_and_cells_the_best_of_each_cell_bold():
    table = rows(section(markdown(view()), "At a glance"))
    assert [row[:3] for row in table] == [
        ["groupnorm", "1.0", "**0.51 ± 0.00**"],
        ["batchnorm", "2.0", "0.50 ± 0.00"],
        ["none", "3.0", "0.40 ± 0.00 ▼"],
    ]
    assert [row[-1] for row in table] == ["0.51", "0.50", "0.40 ▼"]  # over cells


def test_differences_to_the_baseline_have_intervals_and_real_ones_are_bold():
    none = rows(section(markdown(view()), "Differences to batchnorm"))[1]
    assert none[0] == "none" and all(cell.startswith("**-0.100 ± 0.0") for cell in none[1:])
    groupnorm = rows(section(markdown(view()), "Differences to batchnorm"))[0]
    assert all(cell.startswith("+0.005 ± 0.0") for cell in groupnorm[1:])


def test_it_says_in_words_whom_a_norm_is_above_and_whom_it_cannot_be_told_from():
    said = words(section(markdown(view(about=["batchnorm"])), "In words"))
    assert "batchnorm (0.500) is above none by 0.100 ± 0.0" in said
    assert "not told apart from groupnorm (a difference of 0.02 would be told)" in said
    assert "none (0.400) is" not in said
    finer = words(section(markdown(view(about=["batchnorm"], tell=0.005)), "In words"))
    assert "more seeds of each would tell 0.005)" in finer
    below = words(section(markdown(view(about=["none"])), "In words"))
    assert "none (0.400) is below groupnorm by 0.105 ± 0.0" in below


def test_asked_for_no_norm_it_tells_of_each_pair_once():
    said = words(section(markdown(view()), "In words"))
    assert said.count("not told apart from batchnorm") == 3  # each cell, and over cells
    assert "not told apart from groupnorm" not in said


def test_of_many_norms_the_baseline_is_told_of_and_the_rest_is_in_the_csv():
    many = [
        record(norm="groupnorm", num_groups=groups, seed=seed, accuracy=0.5 + seed / 100)
        for groups in range(1, 10)
        for seed in range(3)
    ]
    text = markdown(view(many + runs("batchnorm", accuracy=0.9)))
    assert "Pairs of the other norms are in the CSV" in text
    assert section(text, "In words").count("- ") == 1


def test_it_says_what_so_few_runs_cannot_tell():
    power = section(markdown(view()), "What these runs can tell")
    (cell, seeds, told, *_), *_ = rows(power)
    assert (cell, seeds, told) == ("128 / 0.01", "3", "2 of 3")
    assert "never that they are equal" in words(power)


def test_one_seed_tells_nothing_and_one_norm_has_nothing_to_be_compared_with():
    text = markdown(view([r for r in FIELD if r["seed"] == 0]))
    assert "nothing can be told of" in words(text) and "±" not in section(text, "In words")
    alone = markdown(view(runs("none"), None))
    assert "Only none has runs" in alone and "## How" not in alone
    assert "Differences" not in alone


def test_diverged_and_missing_runs_are_named():
    records = [r for r in FIELD if not (r["config"]["norm"]["name"] == "none" and r["seed"] == 2)]
    records += [record(norm="ws_bcn", status="diverged", lr=lr) for _, lr in CELLS[:2]]
    text = markdown(view(records))
    assert "(2 of 3 runs)" in text and "| diverged" in text
    assert "counts as accuracy 0" in text
    (ws_bcn,) = [row for row in rows(section(text, "Beside accuracy")) if row[0] == "ws_bcn"]
    assert ws_bcn[1] == "2 of 2"


def test_norms_that_lack_cells_are_named_and_not_ranked_over_them():
    text = markdown(view(FIELD + runs("ws_bcn", accuracy=0.9)))
    assert "ws_bcn (lacks 1 of 2)" in text
    assert rows(section(text, "At a glance"))[-1][:2] == ["ws_bcn", "–"]


def test_cost_and_range_of_learning_rates_come_from_the_probes_of_the_same_network():
    cost = {f"{pre}{part}": [1.0] for pre in ("", "reference_") for part in ("train", "forward")}
    cost |= {"train": [1.5, 1.7], "reference_train": [1.0, 1.0], "kept": 6, "reference_kept": 2}
    overhead = probe_record("overhead", cost, norm="groupnorm")
    other = probe_record("overhead", cost | {"kept": 9}, norm="none")
    other["config"]["model"] = {"name": "cnn4", "widths": [8]}
    ranges = [
        probe_record("learning_rate_range", {"loss": loss, "guessing": 2.3}, "groupnorm", lr=lr)
        for lr, loss in ((0.01, 1.0), (0.1, 1.2), (1.0, None))
    ]
    probes = {"overhead": [overhead, other], "learning_rate_range": ranges}
    text = section(markdown(view(probes=probes)), "Beside accuracy")
    assert "step (×none), 128" in text and "Not measured" not in text
    assert rows(text)[0] == ["groupnorm", "0 of 6", "1.60", "3.00", "≤0.01 to 0.1"]
    assert rows(text)[2][2:] == ["–", "–", "–"]
    assert "normbench probe probe=overhead" in section(markdown(view()), "Beside accuracy")


def test_the_csv_has_every_cell_and_every_pair():
    cells, pairs = lines(cells_csv(view())), lines(pairs_csv(view()))
    assert len(cells) == 6 and len(pairs) == 9
    none = next(line for line in cells if line["norm"] == "none")
    assert (none["accuracy_mean"], none["accuracy_std"]) == ("0.4000", "0.0040")
    assert (none["runs"], none["diverged"], none["rank"]) == ("3", "0", "3")
    assert (none["baseline"], none["difference"], none["told_apart"]) == (
        "batchnorm", "-0.1000", "yes",
    )  # fmt: skip
    pair = next(p for p in pairs if (p["norm"], p["other"]) == ("groupnorm", "none"))
    assert pair["difference"] == "0.1050" and float(pair["half_width"]) > 0


def test_the_figure_has_a_panel_a_cell_and_full_marks_where_norms_are_told_apart():
    fig = ranking_figure(view())
    assert len([ax for ax in fig.axes if ax.get_title("left")]) == 3
    ax = fig.axes[0]
    assert rows_of(ax) == ["groupnorm", "batchnorm", "none"]
    marks = {
        round(float(line.get_xdata()[0]), 3): line.get_markerfacecolor() != "white"
        for line in ax.lines
        if line.get_marker() == "o"
    }
    assert marks == {0.505: False, 0.5: True, 0.4: True}
    assert "mean, told apart from the baseline" in legend_of(fig)
    assert "the baseline, batchnorm" in caption_of(fig) and "seeds 0, 1, 2" in caption_of(fig)


def test_curves_have_a_line_a_norm_and_leave_out_what_cannot_be_told_apart():
    fig = curves_figure(view())
    assert legend_of(fig) == ["groupnorm", "batchnorm", "none"]
    assert [len(ax.lines) for ax in fig.axes] == [3] * 4
    many = [record(norm="groupnorm", num_groups=groups) for groups in range(1, 12)]
    fig = curves_figure(view(many, None))
    assert len(legend_of(fig)) == 8 and "3 other norms are left out" in caption_of(fig)


@pytest.mark.parametrize(
    "records",
    [
        runs("none"),
        [record(norm="none", status="diverged")],
        [record(norm="none", status="diverged"), record(norm="batchnorm", status="diverged")],
        runs("none") + runs("batchnorm", 2),
        [record(norm="none"), *runs("batchnorm")],
    ],
    ids=["one norm", "one run, diverged", "all diverged", "no cell shared", "one seed and three"],
)
def test_a_page_can_be_written_whatever_there_is(tmp_path, records):
    baseline = "batchnorm" if len({r["config"]["norm"]["name"] for r in records}) > 1 else None
    text, files = write_page(view(records, baseline), tmp_path / "x")
    assert text.startswith("# Norms ranked: cnn4 on imagenette")
    assert all(path.is_file() for path in files) and len(files) == 7


def test_the_same_bytes_each_time(tmp_path):
    made = [write_page(view(of), tmp_path / n)[1] for n, of in (("a", FIELD), ("b", FIELD[::-1]))]
    one, other = ([Path(path).read_bytes() for path in paths] for paths in made)
    assert one == other
