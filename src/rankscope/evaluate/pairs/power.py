"""What a set of queries and seeds could have shown: the smallest detectable difference, the queries needed."""

from collections.abc import Callable
from functools import lru_cache
from math import inf
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats
from scipy.stats import qmc

from rankscope.evaluate.pairs.comparison import Comparison
from rankscope.evaluate.pairs.evidence import SAME, Floats

POWER = 0.8
BEYOND_ANY_COLLECTION = 1e9
BEYOND_ANY_TEST = 1e5
DRAWS = 1024
"""Points of a Sobol sequence over which power is averaged, a power of 2."""


def smallest_detectable(comparison: Comparison, level: float) -> float | None:
    """The mean difference that a two-sided test at `level` shows with 80 % power.

    None without spread, and where it is that of a few queries: it says nothing of others (`evidence`).
    Of one run a system, that of the t-test. With several seeds the standard error rests on few draws, and a
    statement that took it for the truth would be met in 60 to 75 %; so it is enlarged until a new experiment
    of the same kind shows it in 80 %, over all that the two experiments' errors may be.
    """
    error = comparison.standard_error
    if error == 0 or comparison.is_few:
        return None
    freedom, seeds = comparison.degrees_of_freedom, comparison.sample.seeds[0]
    if seeds.spread == 0:
        needed = _noncentrality(freedom, level)
        return None if needed is None else needed * error
    variance, spread, of_spread = map(float, seeds)
    if error**2 <= spread * (1 + SAME):  # all of it
        variance = spread
    return detectable(
        error, freedom, SeedsPart(variance, spread, of_spread), comparison.n_groups, level
    )


class SeedsPart(NamedTuple):
    """What seeds make of one error: as `SeedError`."""

    variance: float
    spread: float
    degrees_of_freedom: float

    def rounded(self, variance: float) -> "SeedsPart":
        """As shares of a variance, in few different numbers."""
        freedom = max(0.5, round(self.degrees_of_freedom, 1))
        return SeedsPart(
            round(self.variance / variance, 2), round(self.spread / variance, 2), freedom
        )


def detectable(
    error: float, freedom: float, seeds: SeedsPart, n_groups: int, level: float
) -> float:
    """The same of an error of which several seeds make a part."""
    enlarged = _enlarged(seeds.rounded(error**2), float(n_groups - 1), level)
    return float(enlarged * _about(freedom, level) * error)


def _about(degrees_of_freedom: float | Floats, level: float) -> Floats:
    """How many estimated standard errors a difference must be, where the estimate is one chi-square draw."""
    inverse, needed = _of_one_draw(level)
    return np.asarray(np.exp(np.interp(1 / np.asarray(degrees_of_freedom), inverse, needed)))


@lru_cache(maxsize=256)
def _of_one_draw(level: float) -> tuple[Floats, Floats]:
    """Inverse degrees of freedom, and the logarithm of what is needed at each; between them it is smooth."""
    points, weights = np.polynomial.legendre.leggauss(64)
    inverse = np.concatenate([[1e-4], np.linspace(0.002, 1.2, 60)])
    needed = []
    for freedom in 1 / inverse:
        estimates = np.sqrt(special.chdtri(freedom, (1 - points) / 2) / freedom)
        critical = -special.stdtrit(freedom, level / 2)

        def too_much(factor: float) -> float:
            shown = 1 - special.nctdtr(freedom, factor * estimates, critical)  # noqa: B023
            return float(weights @ shown) / 2 - POWER

        needed.append(_root(too_much, critical + 1))
    return inverse, np.log(needed)


def _root(function: Callable[[float], float], highest: float) -> float:
    """Where a rising function is 0."""
    while function(highest) < 0:
        highest *= 2
    return float(optimize.brentq(function, 0.1, highest, rtol=1e-4))


@lru_cache(maxsize=65_536)
def _noncentrality(degrees_of_freedom: float, level: float) -> float | None:
    """How many standard errors a true difference must be for a two-sided t-test to show it.

    In 80 % of cases; that it is shown with the wrong sign is too rare to count (statsmodels' TTestPower
    counts it and gives the same to six digits). None for two queries at a level so small that the function
    does not end.
    """
    critical = stats.t.isf(level / 2, degrees_of_freedom)
    if critical > BEYOND_ANY_TEST:
        return None
    return float(special.nctdtrinc(degrees_of_freedom, 1 - POWER, critical))


@lru_cache(maxsize=65_536)
def _enlarged(seeds: SeedsPart, of_queries: float, level: float) -> float:
    """By how much a statement that rests on an estimated error is enlarged.

    seeds: shares of the error's variance; of_queries: the degrees of freedom of its other part. Both the
    experiment that states and the one that is to show it draw them anew.
    """
    stating, showing = (_drawn_errors(at, seeds, of_queries) for at in (0, 2))
    stated = stating[0] * _about(stating[1], level)
    critical = -showing[0] * special.stdtrit(showing[1], level / 2)

    def too_much(factor: float) -> float:
        return float(special.ndtr(factor * stated - critical).mean()) - POWER

    return _root(too_much, 2.0)


def _drawn_errors(at: int, seeds: SeedsPart, of_queries: float) -> tuple[Floats, Floats]:
    """Standard errors over the true one, and Satterthwaite's degrees of freedom of each."""
    places = _places()[:, at : at + 2]
    queries = (1 - seeds.variance) * special.chdtri(of_queries, places[:, 0]) / of_queries
    freedom = seeds.degrees_of_freedom
    spread = seeds.spread * special.chdtri(freedom, places[:, 1]) / freedom
    left = np.maximum(0.0, spread - (seeds.spread - seeds.variance))
    variance = np.maximum(queries + left, spread)
    of_seeds = np.where(variance > queries, spread**2 / freedom, 0.0)
    return np.sqrt(variance), variance**2 / (queries**2 / of_queries + of_seeds)


@lru_cache(maxsize=1)
def _places() -> Floats:
    return np.asarray(qmc.Sobol(4, seed=0).random(DRAWS))


def queries_needed(comparison: Comparison, level: float) -> int | None:
    """How many queries show a difference as large as the margin with 80 % power.

    None without a margin (the observed difference would say nothing that the p-value has not said), without
    spread or with that of a few queries, beyond a thousand million queries, and where groups of queries or
    several seeds count: there more queries of the same kind are not the whole answer.
    """
    sought = comparison.absolute_margin
    is_plain = comparison.n_groups == comparison.n_queries and max(comparison.n_seeds) == 1
    if comparison.sd == 0 or comparison.is_few or not sought or not is_plain:
        return None
    effect = sought / comparison.sd
    z_level = float(stats.norm.isf(level / 2))
    of_normal = ((z_level + float(stats.norm.ppf(POWER))) / effect) ** 2
    if of_normal > BEYOND_ANY_COLLECTION:
        return None
    n = max(2, int(of_normal + z_level**2 / 2))  # the t test needs about so many more
    while n > 2 and effect * (n - 1) ** 0.5 >= (_noncentrality(n - 2, level) or inf):
        n -= 1
    while effect * n**0.5 < (_noncentrality(n - 1, level) or inf):
        n += 1
    return n
