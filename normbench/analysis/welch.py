"""What a few runs a side can tell: Welch's t for differences, and for sums of several means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.05  # two-sided


@dataclass(frozen=True)
class Sample:
    """What is known of the numbers that some runs came to.

    Attributes:
        mean: of the numbers.
        std: the sample standard deviation; None where it is not known.
        runs: how many.
        unit: of the last decimal, where mean and std are known rounded; 0 where they are exact.
    """

    mean: float
    std: float | None
    runs: int
    unit: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample | None:
        """None of no values; of one, the standard deviation is not known."""
        if not values:
            return None
        std = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), std, len(values))

    def log(self) -> Sample:
        """The logarithm of a positive mean; its spread to first order."""
        std = None if self.std is None else self.std / self.mean
        return Sample(math.log(self.mean), std, self.runs, self.unit / self.mean)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.std is None else f" ± {self.std:.2f}")


@dataclass(frozen=True)
class Estimate:
    """A number and its two-sided interval: of 95%, unless another alpha was asked for.

    Attributes:
        value: the number.
        low, high: ends of the interval.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    @property
    def could_be_zero(self) -> bool:
        return self.low <= 0 <= self.high

    def exp(self) -> Estimate:
        """Of a logarithm, the number itself."""
        return Estimate(math.exp(self.value), math.exp(self.low), math.exp(self.high))


def difference(one: Sample | None, other: Sample | None) -> Estimate | None:
    """One mean minus the other: ``contrast`` of two."""
    return contrast((1, one), (-1, other))


def contrast(*terms: tuple[float, Sample | None], alpha: float = ALPHA) -> Estimate | None:
    """A weighted sum of means that were measured independently, with its 1 - alpha interval.

    Welch's t, for any number of means: no spread is assumed to be the same as another, degrees of
    freedom are Satterthwaite's. A sample without a spread of its own is taken to spread as the
    others do. Rounding is an error that is uniform within the last decimal, of variance unit²/12,
    of a mean as well as of a run: so a standard deviation that was rounded to 0 is not taken for 0.
    Its variance is known, not estimated, and costs no degrees of freedom (GUM, JCGM 100:2008,
    F.2.2.1 and G.4).

    Args:
        terms: weight and sample, each; None where nothing was measured.
        alpha: how often the interval misses, on both sides together.

    Returns:
        None where a sample is missing, or none has a spread.
    """
    samples = [(weight, s) for weight, s in terms if s is not None]
    spreads = [(weight, s, s.std) for weight, s in samples if s.std is not None]
    if len(samples) < len(terms) or not spreads:
        return None
    freedom = sum(s.runs - 1 for _, s, _ in spreads)
    borrowed = sum(weight**2 / s.runs for weight, s in samples if s.std is None) / freedom
    variance = sum(weight**2 * s.unit**2 / 12 for weight, s in samples)
    doubt = 0.0  # in the variance that is estimated
    for weight, s, std in spreads:
        own = weight**2 / s.runs + borrowed * (s.runs - 1)
        part = own * (std**2 + s.unit**2 / 12)
        variance += part
        doubt += part**2 / (s.runs - 1)
    value = math.fsum(weight * s.mean for weight, s in samples)
    if not variance:
        return Estimate(value, value, value)
    degrees = variance**2 / doubt if doubt else math.inf
    half_width = _quantile(degrees, alpha) * math.sqrt(variance)
    return Estimate(value, value - half_width, value + half_width)


def spread(sample: Sample) -> Estimate | None:
    """A standard deviation with its 95% interval, if runs are normally distributed; None of one."""
    from scipy.special import chdtri

    if sample.std is None:
        return None
    degrees = sample.runs - 1
    # chdtri is the inverse of the upper tail
    low, high = (
        sample.std * math.sqrt(degrees / chdtri(degrees, tail))
        for tail in (ALPHA / 2, 1 - ALPHA / 2)
    )
    return Estimate(sample.std, float(low), float(high))


def _quantile(degrees: float, alpha: float) -> float:
    """Of Student's t, for a two-sided interval."""
    from scipy.special import ndtri, stdtrit

    upper = 1 - alpha / 2
    return float(ndtri(upper) if math.isinf(degrees) else stdtrit(degrees, upper))


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation, equal numbers sharing their ranks; None where all of a side are equal."""
    try:
        return statistics.correlation(_ranks(one), _ranks(other))
    except statistics.StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    return [
        sum(other < value for other in values) + sum(other == value for other in values) / 2
        for value in values
    ]
