"""p-values and intervals for the true mean of a sample of differences.

There are three tests, and the most conservative one counts (the largest p-value, the widest interval):

- **t**: the mean over its standard error. It is liberal where differences are skewed, and says nothing where they
  have no spread.
- **Hall's transformation of t** (J. R. Stat. Soc. B 54, 1992): t corrected for skewness, in a monotone form that
  gives intervals, too. Where one query in fifty loses everything and a sample holds few such losses, it allows for
  their direction.
- **Unseen queries**, where all queries but a few have the same difference, to a hundredth of the measure's range:
  then the spread says nothing about other queries. If a share u of all queries had the worst possible difference, n
  queries would hold none of them with probability (1 - u)^n; so the mean may be as low as that share makes it. This
  needs a bounded measure; with an unbounded one, nothing can be shown.

All functions take arrays with an entry for each mean difference.
"""

from dataclasses import dataclass

import numpy as np

from rankscope.evaluate.arrays import SAME, Bools, Floats
from rankscope.evaluate.pairs.tail import Tail

FEW = 5
"""Up to so many queries (groups) that differ from all others say nothing about queries outside the sample."""

ALIKE = 0.01
"""The share of a measure's range within which differences count as the same: rounding and jitter are no spread."""


def are_few(differences: Floats, spans: Floats | float) -> Bools:
    """Whether at most five differences of a row, and fewer than half of them, deviate from the median.

    differences: (rows, queries or groups). spans: the largest possible difference of each row; where it is not a
    number, only equal differences count as the same.
    """
    alike = np.maximum(SAME, np.nan_to_num(ALIKE * np.asarray(spans, dtype=float)))
    n = differences.shape[1]
    middles = [(n - 1) // 2, n // 2]
    # if more than half of the values are equal, the median is one of them. An even number of values has two middle
    # ones, and both are tried: the answer must not depend on which system is the baseline.
    middle = np.partition(differences, middles, axis=1)[:, middles]
    is_unlike = np.abs(differences[:, None] - middle[..., None]) > alike[..., None, None] + SAME
    n_unlike = is_unlike.sum(axis=2).min(axis=1)
    return np.asarray((n_unlike <= FEW) & (2 * n_unlike < n))


def unseen_share(n: int, level: float) -> float:
    """The largest share of all queries that may be of a kind that n of them do not hold: (1 - share)^n is the level."""
    return float(1 - level ** (1 / n))


def transformed(t: Floats, skewness: Floats) -> Floats:
    """Hall's transformation: t + skewness (2 t^2 + 1) / 6, with a cubic term that makes it monotone.

    skewness: of the mean, its third cumulant over its standard error cubed (for n independent values,
    their skewness over the root of n).
    """
    return np.asarray(t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6)


def transformed_back(value: Floats, skewness: Floats) -> Floats:
    """The t whose transformation is the value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.cbrt(1 + skewness * (value - skewness / 6))
        return np.asarray(np.where(np.abs(skewness) < SAME, value, 3 * (root - 1) / skewness))


@dataclass(frozen=True)
class Evidence:
    """Mean differences with all that their tests need."""

    mean: Floats
    standard_error: Floats
    tail: Tail
    skewness: Floats
    """The skewness of the mean."""
    n: int
    """The number of queries, or of groups."""
    is_few: Bools
    """Whether nearly all differences are the same."""
    worst: Floats
    """The largest possible difference, the measure's range; not-a-number without bounds."""

    @property
    def has_spread(self) -> Bools:
        """False where all differences are equal."""
        return np.asarray(self.standard_error > SAME)

    @property
    def turned(self) -> "Evidence":
        """The evidence for the differences with their signs changed."""
        return Evidence(
            -self.mean, self.standard_error, self.tail, -self.skewness, self.n, self.is_few, self.worst
        )  # fmt: skip

    def two_sided(self) -> Floats:
        """p-values that the true mean is not 0."""
        zero = np.zeros_like(self.mean)
        of_sign = np.where(self.mean >= 0, self.above(zero), self.turned.above(zero))
        return np.asarray(np.minimum(1.0, 2 * of_sign))

    def above(self, bound: Floats) -> Floats:
        """One-sided p-values that the true mean is above the bound."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (self.mean - bound) / self.standard_error
            hall = transformed(t, self.skewness)
        by_both = self.tail.above(np.minimum(t, hall))
        seen = np.where(self.has_spread, by_both, self._is_not_above(bound))
        return np.asarray(np.where(self.is_few, np.maximum(seen, self._unseen(bound)), seen))

    def _unseen(self, bound: Floats) -> Floats:
        """The chance that the sample misses all of the worst differences that would bring the mean to the bound."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            left = (bound + self.worst) / (self.mean + self.worst)
            chance = np.where(self._is_not_above(bound), 1.0, np.abs(left) ** self.n)
        chance = np.where(bound + self.worst < 0, 0.0, chance)  # no difference lies so low
        return np.where(np.isnan(chance), 1.0, chance)

    def _is_not_above(self, bound: Floats) -> Bools:
        return np.asarray(self.mean <= bound + SAME)

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Both ends of the interval: the means that a two-sided test at the level does not reject."""
        return self._lowest(level), -self.turned._lowest(level)

    def _lowest(self, level: float) -> Floats:
        t = self.tail.critical(level / 2)
        furthest = np.maximum(t, transformed_back(t, self.skewness))
        seen = self.mean - np.where(self.has_spread, furthest * self.standard_error, 0.0)
        unseen = self.mean - unseen_share(self.n, level / 2) * (self.mean + self.worst)
        unseen = np.where(np.isnan(unseen), -np.inf, unseen)
        return np.asarray(np.where(self.is_few, np.minimum(seen, unseen), seen))
