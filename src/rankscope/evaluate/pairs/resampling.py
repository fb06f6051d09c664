"""Bootstrap intervals and randomisation tests of mean differences, for many comparisons at once.

Both statistics are linear in the values per query: the resampled mean of a difference is the difference
of the resampled means. So one draw of weights serves all rankers and measures, and a family of a thousand comparisons
costs one matrix product. scipy's `bootstrap` and `permutation_test` give the same results up to the random draws, but
draw again for each comparison.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rankscope.core.progress import Advance, untold

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
DRAWN_AT_ONCE = 2_000_000
"""The number of weights in memory at once: 16 MB."""
CLOSE = 1e-12


@dataclass(frozen=True)
class Resampling:
    """The number of resamples and their random seed."""

    n: int = 9_999
    seed: int = 0

    def of_differences(
        self,
        values: Floats,
        systems: Places,
        baselines: Places,
        *,
        group_of: Places | None,
        level: float,
        told: Advance = untold,
    ) -> tuple[Floats, Floats]:
        """BCa intervals (pairs, 2) and randomisation p-values (pairs,) of mean differences; `told` of draws.

        values: (rankers, queries); `systems` and `baselines` are the pairs' rows in it. `group_of` is
        each query's group: groups are drawn, and flipped, whole.
        """
        n_queries = values.shape[1]
        if group_of is None:
            sums, sizes = values.T, np.ones(n_queries)
        else:
            sizes = np.bincount(group_of).astype(float)
            sums = np.zeros((len(sizes), len(values)))
            np.add.at(sums, group_of, values.T)
        differences = sums[:, systems] - sums[:, baselines]  # (groups, pairs)
        means = self._bootstrapped(sums, sizes, told)
        intervals = _bca(means[:, systems] - means[:, baselines], differences, sizes, level)
        flipped = self._flipped(sums, told)
        p_values = self._p_values(flipped[:, systems] - flipped[:, baselines], differences)
        return intervals, p_values

    @property
    def n_drawn(self) -> int:
        """Draws of both: resamples, and flips of signs."""
        return 2 * self.n

    def _chunks(self, width: int, told: Advance) -> Iterator[int]:
        left, most = self.n, max(1, DRAWN_AT_ONCE // width)
        while left:
            yield min(left, most)
            told(min(left, most))
            left -= min(left, most)

    def _bootstrapped(self, sums: Floats, sizes: Floats, told: Advance) -> Floats:
        """Means of resampled groups: (draws, rankers)."""
        rng, n = np.random.default_rng([self.seed, 0]), len(sums)
        means = []
        for rows in self._chunks(n, told):
            drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)
            means.append((times @ sums) / (times @ sizes)[:, None])
        return np.concatenate(means)

    def _flipped(self, sums: Floats, told: Advance) -> Floats:
        """Sums under random signs: (draws, rankers). Swapping two rankers flips a difference's sign."""
        rng, n = np.random.default_rng([self.seed, 1]), len(sums)
        flipped = [
            (2.0 * rng.integers(2, size=(rows, n)) - 1.0) @ sums for rows in self._chunks(n, told)
        ]
        return np.concatenate(flipped)

    def _p_values(self, flipped: Floats, differences: Floats) -> Floats:
        """The share of sign flips that are at least as extreme as the observed signs, which count as one flip."""
        observed = np.abs(differences.sum(axis=0))
        extreme = (np.abs(flipped) >= observed * (1 - CLOSE) - CLOSE).sum(axis=0)
        return np.asarray((extreme + 1) / (self.n + 1))


def _bca(means: Floats, differences: Floats, sizes: Floats, level: float) -> Floats:
    """Bias-corrected and accelerated percentiles (Efron 1987): (pairs, 2).

    means: (draws, pairs); differences: (groups, pairs), summed over each group's queries.
    """
    total, n = differences.sum(axis=0), sizes.sum()
    observed = total / n
    near = np.abs(means - observed) <= CLOSE  # equal but for the last bit, as steps of 1/n are
    less = ((means < observed) & ~near).mean(axis=0)
    equal = near.mean(axis=0)
    bias = special.ndtri(less + equal / 2)
    left_out = (total - differences) / (n - sizes)[:, None]
    away = left_out.mean(axis=0) - left_out
    spread = (away**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration = (away**2 * away).sum(axis=0) / (6 * spread**1.5)
    bounds = []
    for tail in (level / 2, 1 - level / 2):
        z = bias + special.ndtri(tail)
        with np.errstate(invalid="ignore"):
            bounds.append(special.ndtr(bias + z / (1 - acceleration * z)))
    intervals = np.tile(observed[:, None], 2)
    for at in np.flatnonzero(spread > CLOSE**2):
        chances = np.nan_to_num([bound[at] for bound in bounds], nan=0.5)
        intervals[at] = np.quantile(means[:, at], chances)
    return intervals
