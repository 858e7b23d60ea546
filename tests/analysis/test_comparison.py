"""Ours beside the article's, cell by cell: agreement by the numbers."""

import math

import pytest
from made_up import CELLS, article_cell, ranked, results, runs
from scipy import stats

from normbench.analysis.comparison import compare, rank_correlations


def row_of(records, cells, key=("cnn4", "none", 128, 0.01)):
    return next(
        row
        for row in compare(results(records), cells)
        if (row.cell.model, row.cell.norm, row.cell.batch_size, row.cell.lr) == key
    )


def test_a_cell_as_the_article_has_it_agrees_and_one_far_off_does_not():
    near = row_of(runs("none", accuracy=0.478, loss=1.60), [article_cell()])
    assert near.accuracy.agrees and near.loss.agrees
    far = row_of(runs("none", accuracy=0.60, loss=1.0), [article_cell()])
    assert not far.accuracy.agrees and not far.loss.agrees
    assert far.accuracy.apart.value == pytest.approx(0.13)
    assert far.loss.apart.value == pytest.approx(math.log(1.0 / 1.59))


def test_agreement_is_welchs_t_that_knows_of_the_rounding():
    row = row_of(runs("none", accuracy=0.475, spread=0.002), [article_cell(std=0.0)])
    plain = stats.ttest_ind_from_stats(0.475, 0.002, 3, 0.47, 0.0, 3, equal_var=False)
    assert plain.pvalue < 0.05, "told apart if the article's numbers were exact"
    assert row.accuracy.agrees, "but 0.47 ± 0.00 can be 0.4749 ± 0.0049"


def test_norms_are_ranked_within_a_cell():
    _, rows, (ours, theirs) = ranked()
    correlations = rank_correlations(rows)
    assert set(correlations) == {("cnn4", bs, lr) for bs, lr in CELLS}
    expected = stats.spearmanr(ours, theirs).statistic
    for norms, correlation in correlations.values():
        assert norms == 6 and correlation == pytest.approx(expected)
    predicted = rank_correlations(row for row in rows if row.calibrated is False)
    assert predicted["cnn4", 2, 0.001] == (3, None), "three norms are not enough"
