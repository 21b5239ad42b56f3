"""What many seeds say: means, deviations, paired differences with their t intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

ROUNDING = 1e-12
"Below this differences are equal, but for how their numbers are rounded."
LEVEL = 0.95
"Confidence level of every interval."


@dataclass(frozen=True)
class Spread:
    """One number for each seed, and what they are together."""

    values: dict[int, float]
    "Seed -> value."
    mean: float | None
    "None without a value."
    deviation: float | None
    "Sample standard deviation (n - 1); None for fewer than two values."


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences, and how sure it is."""

    mean: float
    half_width: float | None
    "Half of the t interval; None for a single pair, which says nothing about chance."
    p: float | None
    "Two-sided p value of a paired t test against no difference; None for a single pair."
    pairs: int
    level: float = LEVEL
    "Confidence level of the interval."

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half_width is None else self.mean + self.half_width

    def reversed(self) -> Difference:
        """The same comparison seen from the other side."""
        return Difference(-self.mean, self.half_width, self.p, self.pairs, self.level)


def level_of(comparisons: int) -> float:
    """The level of each of so many intervals, by which all of them hold together with `LEVEL`: 0.95 of 1, 0.99 of 5.

    Dunn 1961 (Bonferroni's inequality): whatever depends on whatever.
    """
    return 1 - (1 - LEVEL) / max(1, comparisons)


def spread(values: Mapping[int, float]) -> Spread:
    """Mean and sample standard deviation of values by seed."""
    numbers = list(values.values())
    mean = fmean(numbers) if numbers else None
    return Spread(dict(values), mean, stdev(numbers) if len(numbers) > 1 else None)


def paired_difference(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Difference:
    """Mean of `a - b`, pair by pair, with the half width of its Student t interval and the paired t test's p value.

    (n,), (n,) -> one `Difference`. Student 1908: half width = t(n - 1) * s / sqrt(n), s the deviation of the
    differences. Equal differences have a half width of 0, and p = 0 (or 1, where all are 0). Raises `ValueError` for
    sequences that are empty or differ in length.
    """
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n = len(differences)
    if not n:
        raise ValueError("a paired difference needs at least one pair")
    mean = fmean(differences)
    if n == 1:
        return Difference(mean, None, None, 1, level)
    error = stdev(differences) / math.sqrt(n)
    if error < ROUNDING:
        return Difference(mean, 0.0, 0.0 if mean else 1.0, n, level)
    from scipy.special import stdtr, stdtrit  # Student's t; `scipy.stats` would take a second to load

    half_width = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return Difference(mean, half_width, float(2 * stdtr(n - 1, -abs(mean) / error)), n, level)


def difference(a: Spread, b: Spread, level: float = LEVEL) -> Difference | None:
    """`a - b` over the seeds that both have; None where they share none."""
    seeds = [seed for seed in a.values if seed in b.values]
    return paired_difference([a.values[s] for s in seeds], [b.values[s] for s in seeds], level) if seeds else None


def unpaired_difference(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Difference:
    """Mean of `a` minus mean of `b`, which share nothing, with Welch's t interval and p value. (n,), (m,).

    Welch 1947: the two may vary differently. No interval for a single value on either side; `pairs` is 0. Raises
    `ValueError` for an empty sequence.
    """
    if not a or not b:
        raise ValueError("a difference needs values on both sides")
    mean = fmean(a) - fmean(b)
    if len(a) < 2 or len(b) < 2:
        return Difference(mean, None, None, 0)
    if stdev(a) == stdev(b) == 0:
        return Difference(mean, 0.0, 0.0 if mean else 1.0, 0)
    from scipy.stats import ttest_ind

    test = ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(level)
    return Difference(mean, float(high - low) / 2, float(test.pvalue), 0)
