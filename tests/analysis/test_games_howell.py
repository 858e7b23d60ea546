"""All pairs of means at once: scipy's intervals, wide enough for few runs."""

import math

import numpy as np
import pytest
from scipy import stats

from normbench.analysis.games_howell import GamesHowell, Mean, studentized_range, widening

NORMS, RUNS, ALPHA = 6, 3, 0.05  # of what is simulated


def drawn(random, runs=RUNS, shift=0.0, spread=1.0, norms=NORMS):
    """Means of normally distributed runs; the first one is shifted."""
    values = random.normal(size=(norms, runs)) * spread
    values[0] += shift
    return [Mean.of(of_norm.tolist()) for of_norm in values]


def pairs(means, alpha=ALPHA):
    test = GamesHowell(means, alpha)
    return [test.apart(a, b) for i, a in enumerate(means) for b in means[:i]]


def test_intervals_are_those_of_scipy_but_for_the_widening():
    samples = [[0.51, 0.55, 0.53, 0.58], [0.61, 0.72, 0.64, 0.70, 0.59], [0.33, 0.34, 0.36]]
    means = [Mean.of(sample) for sample in samples]
    test = GamesHowell(means, ALPHA)
    scipys = stats.tukey_hsd(*samples, equal_var=False)
    interval = scipys.confidence_interval(1 - ALPHA)
    for i, one in enumerate(means):
        for j, other in enumerate(means[:i]):
            apart = test.apart(one, other)
            assert apart.value == pytest.approx(scipys.statistic[i, j])
            half_width = (interval.high[i, j] - interval.low[i, j]) / 2
            assert apart.half_width / test.width == pytest.approx(half_width, rel=1e-3)


def test_quantiles_between_those_that_were_computed_are_right():
    quantile = studentized_range(NORMS, ALPHA)
    for df in (1.2, 2.7, 3.4, 11.0, 80.0):
        exact = stats.studentized_range.ppf(1 - ALPHA, NORMS, df)
        assert float(quantile(1 / df)) == pytest.approx(exact, rel=1e-3)


def test_equal_norms_are_told_apart_as_seldom_as_promised():
    random = np.random.default_rng(1)
    means = [drawn(random) for _ in range(1000)]
    told = [max(abs(a.value) / a.half_width for a in pairs(of)) for of in means]
    width = GamesHowell(means[0], ALPHA).width
    assert width > 1
    rate = np.mean([most > 1 for most in told])
    assert rate == pytest.approx(ALPHA, abs=0.021)  # three standard errors
    assert np.mean([most * width > 1 for most in told]) > rate  # not so without the widening


def test_a_large_difference_is_told_and_each_interval_holds_the_true_one():
    random = np.random.default_rng(2)
    told, missed = [], 0
    for _ in range(300):
        means = drawn(random, shift=30.0)
        test = GamesHowell(means, ALPHA)
        aparts = [test.apart(means[0], other) for other in means[1:]]
        told += [apart.real and apart.value > 0 for apart in aparts]
        missed += any(abs(apart.value - 30.0) > apart.half_width for apart in aparts)
    assert np.mean(told) > 0.9 and missed / 300 < ALPHA + 0.04


def test_a_mean_over_cells_is_the_mean_of_their_means_and_knows_its_spread_better():
    cells = [[0.1, 0.2, 0.3], [0.5, 0.7, 0.6]]
    both = Mean.of(*cells)
    assert both.value == pytest.approx(0.4)
    assert both.variance == pytest.approx(2 * 0.01 / 3 / 4)
    assert both.variance**2 / both.doubt == pytest.approx(4)  # degrees of freedom: 2 of each
    assert widening((both.runs,) * NORMS, ALPHA) < widening(((RUNS,),) * NORMS, ALPHA)


def test_as_many_more_runs_as_it_says_tell_the_difference_four_times_in_five():
    one, other, third = (Mean.of([m - 0.01, m, m + 0.01]) for m in (0.50, 0.51, 0.52))
    test = GamesHowell([one, other, third], ALPHA)
    runs = RUNS + test.more_runs(one, other, 0.02)
    assert test.more_runs(one, other, 0.04) < runs - RUNS < test.more_runs(one, other, 0.01)
    random, told = np.random.default_rng(3), 0
    for _ in range(400):
        means = drawn(random, runs, shift=2.0, norms=3)  # in standard deviations
        told += pairs(means)[0].real
    assert 0.74 < told / 400 < 0.92


def test_more_runs_than_anybody_trains_are_not_counted():
    one, other = Mean.of([0.1, 0.5, 0.9]), Mean.of([0.2, 0.4, 0.9])
    assert GamesHowell([one, other], ALPHA).more_runs(one, other, 0.001) is None


def test_what_does_not_spread_at_all_is_not_told_apart():
    same = Mean.of([0.1, 0.1])  # a network that guesses
    test = GamesHowell([same, Mean.of([0.2, 0.2])], ALPHA)
    apart = test.apart(same, Mean.of([0.2, 0.2]))
    assert math.isinf(apart.half_width) and not apart.real
    assert Mean.of([0.5]) is None and Mean.of([0.5, 0.6], [0.5]) is None
