"""What a sample of differences shows of their true mean: p-values and intervals.

Three views, of which the least sure one counts (the largest p-value, the widest interval):

- **t**: the mean over its standard error. Too bold where differences are skewed, and blind where they
  have no spread.
- **Hall's transformation of t** (J. R. Stat. Soc. B 54, 1992): t and its terms of skewness, made monotone,
  so that it gives intervals too. Where one query in fifty loses all and a sample holds few such losses, it
  sees that they pull one way.
- **What the sample may not have seen**, where all queries but a few have one and the same difference, to a
  hundredth of what the measure allows: their spread says nothing of other queries. If a share u of all queries had the worst difference the measure
  allows, n queries would hold none of them with probability (1 - u)^n; so the mean may be as low as that u
  makes it. It needs a measure with bounds; without, nothing is shown.

All functions are of arrays, a mean difference an entry.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

SAME = 1e-12
"""The spread under which differences are equal up to rounding."""
FEW = 5
"""So many queries (groups) that differ from all others tell nothing of those outside the sample."""

ALIKE = 0.01
"""The share of a measure's range within which differences are one and the same: rounding and jitter are no spread."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def are_few(differences: Floats, spans: Floats | float) -> Bools:
    """Whether at most five differences of a row, and not half of them, are unlike the usual one, the middle one.

    differences: (rows, queries or groups). spans: the largest difference there can be, a row each; where it is
    not a number, only equal differences are alike.
    """
    alike = np.maximum(SAME, np.nan_to_num(ALIKE * np.asarray(spans, dtype=float)))
    n = differences.shape[1]
    ordered = np.sort(differences, axis=1)
    # of n - 5 equal values among n, the middle one is one; so is it of more than half
    usual = ordered[:, n // 2][:, None]
    n_unlike = (np.abs(ordered - usual) > alike[..., None] + SAME).sum(axis=1)
    return np.asarray((n_unlike <= FEW) & (2 * n_unlike < n))


def unseen_share(n: int, level: float) -> float:
    """The largest share of all queries that may be of a kind not among n of them: (1 - share)^n is the level."""
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
    """Mean differences, and how sure they are."""

    mean: Floats
    standard_error: Floats
    degrees_of_freedom: Floats
    skewness: Floats
    """Of the mean."""
    n: int
    """Queries, or groups of them."""
    is_few: Bools
    """Where nearly all differences are the same."""
    worst: Floats
    """How far below (above) a difference can lie: the measure's range; not-a-number without bounds."""

    @property
    def has_spread(self) -> Bools:
        """False where all differences are equal."""
        return np.asarray(self.standard_error > SAME)

    @property
    def turned(self) -> "Evidence":
        """Of the differences with their signs turned."""
        return Evidence(
            -self.mean, self.standard_error, self.degrees_of_freedom, -self.skewness, self.n, self.is_few, self.worst
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
        by_t, by_hall = (special.stdtr(self.degrees_of_freedom, -each) for each in (t, hall))
        seen = np.where(self.has_spread, np.maximum(by_t, by_hall), self._is_not_above(bound))
        return np.asarray(np.where(self.is_few, np.maximum(seen, self._unseen(bound)), seen))

    def _unseen(self, bound: Floats) -> Floats:
        """The chance that a sample holds none of the worst differences that bring the mean to the bound."""
        with np.errstate(divide="ignore", invalid="ignore"):
            left = (bound + self.worst) / (self.mean + self.worst)
            chance = np.where(self._is_not_above(bound), 1.0, np.abs(left) ** self.n)
        chance = np.where(bound + self.worst < 0, 0.0, chance)  # no difference lies so low
        return np.where(np.isnan(chance), 1.0, chance)

    def _is_not_above(self, bound: Floats) -> Bools:
        return np.asarray(self.mean <= bound + SAME)

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Both ends of what a two-sided test at the level does not refute."""
        return self._lowest(level), -self.turned._lowest(level)

    def _lowest(self, level: float) -> Floats:
        t = -special.stdtrit(self.degrees_of_freedom, level / 2)
        furthest = np.maximum(t, transformed_back(t, self.skewness))
        seen = self.mean - np.where(self.has_spread, furthest * self.standard_error, 0.0)
        unseen = self.mean - unseen_share(self.n, level / 2) * (self.mean + self.worst)
        unseen = np.where(np.isnan(unseen), -np.inf, unseen)
        return np.asarray(np.where(self.is_few, np.minimum(seen, unseen), seen))
