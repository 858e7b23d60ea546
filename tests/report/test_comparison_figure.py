"""Ours beside the article's as a figure, and ours alone where it has nothing to compare with."""

from drawn import caption_of, legend_of, rows_of
from made_up import CELLS, record, results, runs

from normbench.analysis.comparison import compare
from normbench.analysis.reference import ArticleCell
from normbench.report import comparison_figure

NORMS = "none", "batchnorm", "layernorm", "groupnorm"


def article(norm, batch_size=128, lr=0.01):
    return ArticleCell("cnn4", norm, batch_size, lr, 0.47, 0.01, 1.59, 0.1)


def drawn(records, cells, protocol=()):
    found = results(records, protocol=protocol)
    return comparison_figure.figure(found, compare(found, cells))


def titles(figure):
    return [title for ax in figure.axes if (title := ax.get_title("left"))]


def markers(ax):
    """Shape and accuracy of what is in a panel."""
    return sorted(
        (line.get_marker(), round(float(line.get_xdata()[0]), 2))
        for line in ax.lines
        if line.get_marker() in ("o", "D")
    )


def test_it_has_a_panel_for_each_cell_and_a_row_for_each_norm():
    records = [r for norm in NORMS for bs, lr in CELLS for r in runs(norm, bs, lr)]
    figure = drawn(records, [article(norm, bs, lr) for norm in NORMS for bs, lr in CELLS])
    assert titles(figure) == [f"batch size {bs}, lr {lr:g}" for bs, lr in CELLS]
    assert rows_of(figure.axes[0]) == list(NORMS)
    for ax in figure.axes:
        assert markers(ax) == [("D", 0.47)] * 4 + [("o", 0.5)] * 4
    assert legend_of(figure) == ["ours", "the article's", "calibrated on"]
    caption = caption_of(figure)
    assert "over 3 seeds" in caption and "The article's: over 3 runs" in caption


def test_a_norm_of_the_users_own_is_among_them():
    own = runs("batchnorm")
    for one in own:
        one["config"] = one["config"] | {"norm": {"name": "mine", "layer": {"_target_": "my.Norm"}}}
    figure = drawn(runs("none") + own, [article("none")])
    assert rows_of(figure.axes[0]) == ["none", "mine"]
    assert markers(figure.axes[0]) == [("D", 0.47), ("o", 0.5), ("o", 0.5)]


def test_runs_on_other_data_are_drawn_without_the_articles_numbers():
    protocol = ("data=synthetic",)
    figure = drawn(
        runs("none", protocol=protocol) + runs("none", 2, protocol=protocol),
        [article("none")],
        protocol,
    )
    assert titles(figure) == [
        "batch size 128, lr 0.01",
        "batch size 2, lr 0.01",
    ]
    for ax in figure.axes:
        assert markers(ax) == [("o", 0.5)] and not ax.patches
    assert not figure.legends
    caption = caption_of(figure)
    assert "cnn4 on synthetic" in caption and "article" not in caption


def test_a_cell_that_the_article_lacks_is_drawn_as_well():
    figure = drawn(runs("none") + runs("none", 16), [article("none")])
    assert titles(figure) == [
        "batch size 128, lr 0.01",
        "batch size 16, lr 0.01",
    ]
    assert [len(markers(ax)) for ax in figure.axes] == [2, 1]


def test_the_same_bytes_each_time(tmp_path):
    found = results(runs("none") + runs("batchnorm", 2))
    all_rows = compare(found, [article("none")])
    one, other = (comparison_figure.draw(found, all_rows, tmp_path / n) for n in ("one", "other"))
    assert [p.name for p in one] == ["one.png", "one.svg"]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]


def test_no_figure_of_nothing(tmp_path):
    found = results([record(norm="none", status="diverged")])
    assert comparison_figure.draw(found, compare(found, [article("none")]), tmp_path / "x") == []
    assert list(tmp_path.iterdir()) == []
