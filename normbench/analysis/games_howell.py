"""Which means of several differ, all pairs at once, where spreads differ as well: Games & Howell
1976, https://doi.org/10.3102/10769986001002113"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev

DRAWS, SEED = 20_000, 0  # of the simulation that sets the width for few runs
DEGREE = 7  # of the polynomial that quantiles are interpolated with
MOST_RUNS = 200  # that are thought of where more would be needed to tell a difference
POWER = 0.8  # how often a difference is told that is said to be


@dataclass(frozen=True)
class Mean:
    """A mean of runs, or of the means of several cells.

    Attributes:
        value: the mean.
        variance: of the mean, estimated.
        doubt: of the variance: Satterthwaite's sum of variance² / (runs - 1) over cells.
        runs: in each of the cells.
    """

    value: float
    variance: float
    doubt: float
    runs: tuple[int, ...]

    @classmethod
    def of(cls, *cells: Sequence[float]) -> Mean | None:
        """Of each cell's numbers, each cell with the same weight; None if one has fewer than two,
        as its spread is not known then."""
        if not cells or min(map(len, cells)) < 2:
            return None
        parts = [statistics.variance(cell) / len(cell) / len(cells) ** 2 for cell in cells]
        doubts = [part**2 / (len(cell) - 1) for part, cell in zip(parts, cells, strict=True)]
        value = statistics.fmean(map(statistics.fmean, cells))
        return cls(value, math.fsum(parts), math.fsum(doubts), tuple(map(len, cells)))

    def with_runs(self, runs: int) -> Mean:
        """As if a single cell had so many runs that spread like its own."""
        (own,) = self.runs
        variance = self.variance * own / runs
        return Mean(self.value, variance, variance**2 / (runs - 1), (runs,))


@dataclass(frozen=True)
class Apart:
    """How far two means are apart.

    Attributes:
        value: one minus the other.
        half_width: of its interval, which holds the true difference together with those of all
            other pairs; infinite where nothing can be told.
    """

    value: float
    half_width: float

    @property
    def real(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.value) > self.half_width

    def __neg__(self) -> Apart:
        return Apart(-self.value, self.half_width)


class GamesHowell:
    """Simultaneous intervals of all differences between some means.

    For means of single cells, those of ``scipy.stats.tukey_hsd(equal_var=False)``, which takes
    seconds for each; but with few runs these are too narrow (of 8 equal means of 3 runs some are
    told apart in 8% of cases, of 27 in more than 20%, not in 5%). So they are widened by the factor
    with which as many equal means of as many runs, normally distributed and simulated, are told
    apart as often as alpha says.

    Args:
        means: at least two.
        alpha: how often any of the intervals may miss.
    """

    def __init__(self, means: Sequence[Mean], alpha: float):
        self.means, self.alpha = list(means), alpha
        self.width = widening(tuple(sorted(mean.runs for mean in means)), alpha)

    def apart(self, one: Mean, other: Mean) -> Apart:
        """One mean minus the other."""
        return Apart(one.value - other.value, self._half_width(one, other))

    def more_runs(self, one: Mean, other: Mean, difference: float) -> int | None:
        """How many more runs each of two means of a single cell would need for a difference to be
        told four times in five, if they spread as those that there are.

        Returns:
            None for more than ``MOST_RUNS``, or if they do not spread at all.
        """
        there = max(*one.runs, *other.runs)

        def enough(runs: int) -> bool:
            a, b = one.with_runs(runs), other.with_runs(runs)
            error = math.sqrt(a.variance + b.variance)
            z = statistics.NormalDist().inv_cdf(POWER)
            return self._half_width(a, b) + z * error <= difference

        if not one.variance + other.variance or not enough(MOST_RUNS):
            return None
        low, high = there - 1, MOST_RUNS  # not known, enough
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high - there

    def _half_width(self, one: Mean, other: Mean) -> float:
        variance, doubt = one.variance + other.variance, one.doubt + other.doubt
        if not variance:  # runs that came to the same by chance, or guess all alike
            return math.inf
        quantile = studentized_range(len(self.means), self.alpha)(doubt / variance**2)
        return self.width * float(quantile) * math.sqrt(variance / 2)


@cache
def studentized_range(means: int, alpha: float) -> Callable[..., np.ndarray]:
    """The upper quantile of the range of so many standard normal numbers over a standard deviation
    of its own, as a function of 1 / degrees of freedom.

    scipy takes 0.1 seconds for a number, so a polynomial goes through a few: within 1 in 1,000.
    """
    from scipy.stats import studentized_range as exact

    def logs(inverse: np.ndarray) -> np.ndarray:
        return np.log([exact.ppf(1 - alpha, means, 1 / at) for at in inverse])

    curve = Chebyshev.interpolate(logs, DEGREE, domain=[0, 1])
    return lambda at: np.exp(curve(at))


@cache
def widening(runs: tuple[tuple[int, ...], ...], alpha: float) -> float:
    """By what Games and Howell's intervals have to be multiplied to miss as often as alpha says,
    where all means are equal and all runs spread alike; 1 where they are wide enough.

    Args:
        runs: of each mean, in each of its cells.
        alpha: how often any interval may miss.
    """
    random = np.random.default_rng(SEED)
    values, variances, doubts = np.zeros((3, len(runs), DRAWS))
    for i, of_mean in enumerate(runs):
        for count in of_mean:
            # of normal numbers, mean and variance are independent: normal, and chi-squared
            part = random.chisquare(count - 1, DRAWS) / (count - 1) / count / len(of_mean) ** 2
            values[i] += random.normal(size=DRAWS) / math.sqrt(count) / len(of_mean)
            variances[i] += part
            doubts[i] += part**2 / (count - 1)
    quantile = studentized_range(len(runs), alpha)
    furthest = np.zeros(DRAWS)  # of all pairs, in half-widths of their intervals
    for i in range(len(runs)):
        for j in range(i):
            variance, doubt = variances[i] + variances[j], doubts[i] + doubts[j]
            half_width = quantile(doubt / variance**2) * np.sqrt(variance / 2)
            np.maximum(furthest, np.abs(values[i] - values[j]) / half_width, out=furthest)
    return max(1.0, round(float(np.quantile(furthest, 1 - alpha)), 2))
