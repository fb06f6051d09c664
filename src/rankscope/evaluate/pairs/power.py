"""The power of a set of queries and seeds: the minimum detectable effect, and the queries needed."""

from collections.abc import Callable
from functools import lru_cache
from math import inf
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats
from scipy.stats import qmc

from rankscope.evaluate.arrays import SAME, Floats
from rankscope.evaluate.pairs.comparison import Comparison
from rankscope.evaluate.pairs.evidence import transformed_back
from rankscope.evaluate.pairs.tail import Tail, total
from rankscope.evaluate.seeds.seed_error import SeedError

POWER = 0.8
Z_OF_POWER = float(special.ndtri(POWER))
AIM = 0.82
"""What is aimed at where seeds count: which share of the error they make is an estimate, too, and the power that
another experiment shows is two points lower than what is aimed at (docs/verdicts.md)."""
BEYOND_ANY_COLLECTION = 1e9
BEYOND_ANY_TEST = 1e5
DRAWS = 256
"""Points of a Sobol sequence over which power is averaged, a power of 2."""


def smallest_detectable(comparison: Comparison, level: float) -> float | None:
    """The minimum detectable effect: the mean difference that a two-sided test at `level` detects with 80 % power.

    None without spread, and where it is that of a few queries: it says nothing of others (`evidence`).
    Of one run a system, that of the t-test. With several seeds the standard error rests on few draws, and a
    statement that took it for the truth would be met less often; so it is enlarged until a new experiment
    of the same kind shows it in 80 %, over all that the two experiments' errors may be.
    """
    error = comparison.standard_error
    if error == 0 or comparison.is_few:
        return None
    sample = comparison.sample
    seeds = sample.seeds[0]
    if seeds.spread[0] == 0:
        needed = _noncentrality(comparison.degrees_of_freedom, level)
        return None if needed is None else needed * error
    queries_freedom = sample.grouping.degrees_of_freedom
    queries = error**2 - float(seeds.variance[0])
    if error**2 <= seeds.spread[0] * (1 + SAME):  # all of it
        queries = 0.0
    return float(detectable(np.array([queries]), queries_freedom, seeds, level)[0])


def detectable(queries: Floats, queries_freedom: float, seeds: SeedError, level: float) -> Floats:
    """The same where several seeds make a part of the error.

    queries: the queries' part of each variance; queries_freedom: that part's degrees of freedom.
    """
    variance = total(queries, seeds.variance, seeds.spread)
    enlarged = [
        _enlarged(_Shares.of(variance[at], seeds.at(at)), queries_freedom, level)
        for at in range(len(variance))
    ]
    return np.asarray(
        np.array(enlarged) * _stated(queries, queries_freedom, seeds, level) * np.sqrt(variance)
    )


def _stated(queries: Floats, queries_freedom: float, seeds: SeedError, level: float) -> Floats:
    """How many estimated standard errors would do, if they were the true ones."""
    return Tail.of(queries, queries_freedom, seeds).critical(level / 2) + Z_OF_POWER


class _Shares(NamedTuple):
    """The seeds' part of an error, as shares of its variance, in few different numbers."""

    spread: float
    noise: float
    degrees_of_freedom: float
    is_averaged: bool

    @classmethod
    def of(cls, variance: float, seeds: SeedError) -> "_Shares":
        """Rounded."""
        return cls(
            round(float(seeds.spread) / variance, 2),
            round(20 * float(seeds.noise) / variance) / 20,
            max(0.5, round(float(seeds.degrees_of_freedom), 1)),
            bool(seeds.is_averaged),
        )


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
def _enlarged(seeds: _Shares, queries_freedom: float, level: float) -> float:
    """By how much a statement that rests on an estimated error is enlarged.

    Two experiments draw their errors, from queries and from seeds: the one that states, and the one that is to show
    it. Differences are taken as normal. The skewness that the second happens to have raises what Hall's transformation
    asks of it.
    """
    (stated, error), (critical, other) = (
        (
            Tail.of(queries, queries_freedom, of_seeds).critical(level / 2),
            np.sqrt(total(queries, of_seeds.variance, of_seeds.spread)),
        )
        for queries, of_seeds in (_drawn(at, seeds, queries_freedom) for at in (0, 2))
    )
    stated = (stated + Z_OF_POWER) * error
    n = queries_freedom + 1
    queries_alone = np.sqrt(_drawn(2, seeds, queries_freedom)[0]) / other
    skewness = special.ndtri(_places()[:, 4]) * 6**0.5 / n * queries_alone**3
    needed = np.maximum(critical, transformed_back(critical, skewness)) * other

    def too_much(factor: float) -> float:
        return float(special.ndtr(factor * stated - needed).mean()) - AIM

    return _root(too_much, 2.0)


def _drawn(at: int, seeds: _Shares, queries_freedom: float) -> tuple[Floats, SeedError]:
    """The queries' and the seeds' part of variances that are 1 in truth."""
    places = _places()[:, at : at + 2]
    true_queries = 1 - max(0.0, seeds.spread - seeds.noise)
    queries = true_queries * special.chdtri(queries_freedom, places[:, 0]) / queries_freedom
    freedom = np.full(len(places), seeds.degrees_of_freedom)
    spread = seeds.spread * special.chdtri(freedom, places[:, 1]) / freedom
    is_averaged = np.full(len(places), seeds.is_averaged)
    noise = np.full(len(places), min(seeds.noise, seeds.spread))
    return queries, SeedError.of(spread, noise, freedom, is_averaged=is_averaged)


@lru_cache(maxsize=1)
def _places() -> Floats:
    return np.asarray(qmc.Sobol(5, seed=0).random(DRAWS))


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
