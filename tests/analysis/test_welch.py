"""What few runs can tell: against scipy, worked examples and simulated runs."""

import math

import numpy as np
import pytest
from scipy import stats

from normbench.analysis.welch import Estimate, Sample, contrast, difference, spearman, spread


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Sample(0.59, 0.012, 3), Sample(0.47, 0.02, 3)),
        (Sample(2.78, 0.77, 3), Sample(2.14, 0.19, 5)),
        (Sample(0.5, 0.1, 2), Sample(0.4, 0.0, 7)),
    ],
)
def test_a_difference_is_welchs_t(one, other):
    scipys = stats.ttest_ind_from_stats(
        one.mean, one.std, one.runs, other.mean, other.std, other.runs, equal_var=False
    )
    ours = difference(one, other)
    degrees = (one.std**2 / one.runs + other.std**2 / other.runs) ** 2 / (
        (one.std**2 / one.runs) ** 2 / (one.runs - 1)
        + (other.std**2 / other.runs) ** 2 / (other.runs - 1)
    )
    standard_error = ours.value / scipys.statistic
    assert ours.value == pytest.approx(one.mean - other.mean)
    assert ours.half_width == pytest.approx(stats.t.ppf(0.975, degrees) * standard_error)
    assert ours.could_be_zero == (scipys.pvalue > 0.05)


def test_the_interval_of_runs_is_scipys():
    one, other = [0.58, 0.60, 0.65], [0.41, 0.47, 0.44, 0.40]
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    ours = difference(Sample.of(one), Sample.of(other))
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_a_contrast_of_four_by_hand():
    # (.60 - .41) - (.46 - .33) = .06; each variance .01² / 3, together 4e-4 / 3, degrees of
    # freedom (4 v)² / (4 v² / 2) = 8, t(8) = 2.306: 2.306 * .01155 = .02663
    samples = [Sample(mean, 0.01, 3) for mean in (0.60, 0.41, 0.46, 0.33)]
    ours = contrast(*zip((1, -1, -1, 1), samples, strict=True))
    assert ours.value == pytest.approx(0.06)
    assert ours.half_width == pytest.approx(0.02663, abs=1e-5)


def test_a_side_without_a_spread_takes_the_others():
    # by hand: .01 √(1/3 + 1/3) = .00816, two degrees of freedom, t(2) = 4.303
    known, unknown = Sample(0.50, 0.01, 3), Sample(0.47, None, 3)
    for one in (difference(known, unknown), difference(unknown, known)):
        assert one.half_width == pytest.approx(4.303 * 0.0081650, rel=1e-3)
    assert difference(known, Sample(0.4, None, 1)).half_width == pytest.approx(
        4.303 * 0.01 * math.sqrt(1 / 3 + 1), rel=1e-3
    )
    assert difference(unknown, unknown) is None


def test_a_rounded_standard_deviation_of_zero_is_not_taken_for_zero():
    exact = difference(Sample(0.6, 0.0, 3), Sample(0.59, 0.0, 3))
    assert exact.half_width == 0 and not exact.could_be_zero
    assert difference(Sample(0.6, 0.0, 3), Sample(0.59, 0.0, 3, unit=0.01)).half_width > 0.005


@pytest.mark.parametrize("spread", [0.003, 0.012, 0.03])
def test_equal_cells_are_called_different_in_about_one_of_twenty(spread):
    draw = np.random.default_rng(0)
    wrong, trials = 0, 3000
    for _ in range(trials):
        mean = draw.uniform(0.3, 0.7)
        ours, theirs = draw.normal(mean, spread, (2, 3))
        published = Sample(round(theirs.mean(), 2), round(theirs.std(ddof=1), 2), 3, unit=0.01)
        wrong += not difference(Sample.of(list(ours)), published).could_be_zero
    assert 0.01 < wrong / trials < 0.06


def test_a_logarithm_carries_spread_and_rounding_along():
    ours = Sample(2.0, 0.1, 3, unit=0.01).log()
    assert (ours.mean, ours.std, ours.unit) == pytest.approx((math.log(2), 0.05, 0.005))
    assert Sample(2.0, None, 3).log().std is None


def test_a_sample_of_runs():
    assert Sample.of([]) is None
    assert Sample.of([0.5]) == Sample(0.5, None, 1)
    assert str(Sample.of([0.58, 0.60, 0.65])) == "0.61 ± 0.04" and str(Sample.of([0.5])) == "0.50"


def test_an_interval_holds_zero_up_to_its_ends():
    assert Estimate(0.1, 0, 0.2).could_be_zero and Estimate(-0.1, -0.2, 0).could_be_zero
    assert not Estimate(0.1, 0.01, 0.19).could_be_zero and Estimate(0, 0, 0).could_be_zero


def test_a_smaller_alpha_widens_the_interval():
    one, other = [0.58, 0.60, 0.65], [0.41, 0.47, 0.44, 0.40]
    interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.99)
    ours = contrast((1, Sample.of(one)), (-1, Sample.of(other)), alpha=0.01)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_the_spread_of_three_runs_is_hardly_known():
    # by hand: chi-squared with 2 degrees of freedom is -2 ln(tail): .02 √(2 / 7.378), √(2 / .0506)
    found = spread(Sample(0.5, 0.02, 3))
    assert (found.value, found.low, found.high) == pytest.approx((0.02, 0.01041, 0.12569), rel=1e-3)
    low, high = (0.02 * math.sqrt(4 / stats.chi2.ppf(p, 4)) for p in (0.975, 0.025))
    found = spread(Sample(0.5, 0.02, 5))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert spread(Sample(0.5, None, 1)) is None


def test_the_exponential_of_an_estimate():
    assert Estimate(0, math.log(0.5), math.log(2)).exp() == Estimate(1, 0.5, 2)


def test_rank_correlation_is_scipys_ties_included():
    draw = np.random.default_rng(1)
    for _ in range(20):
        one, other = draw.integers(0, 6, (2, 8)) / 100
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert spearman([1, 2, 3, 4], [5, 5, 5, 5]) is None
