"""What a set of queries and seeds could have shown: the smallest detectable difference, the queries needed."""

from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats
from scipy.stats import qmc

from rankscope.evaluate.comparison import Comparison
from rankscope.evaluate.evidence import Floats

POWER = 0.8
BEYOND_ANY_COLLECTION = 1e9
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
    if seeds.variance == 0:
        return _noncentrality(freedom, level) * error
    share = round(float(seeds.variance) / error**2, 2)
    of_seeds = round(float(seeds.degrees_of_freedom), 1)
    enlarged = _enlarged(share, float(comparison.n_groups - 1), of_seeds, level)
    return float(enlarged * _about(freedom, level) * error)


def _about(degrees_of_freedom: float | Floats, level: float) -> Floats:
    """About how many standard errors a difference must be to be shown, were the error the true one."""
    critical, beyond = (-special.stdtrit(degrees_of_freedom, p) for p in (level / 2, 1 - POWER))
    return np.asarray(critical + beyond)


@lru_cache(maxsize=65_536)
def _noncentrality(degrees_of_freedom: float, level: float) -> float:
    """How many standard errors a true difference must be for a two-sided t-test to show it.

    In 80 % of cases; that it is shown with the wrong sign is too rare to count (statsmodels' TTestPower
    counts it and gives the same to six digits).
    """
    critical = stats.t.isf(level / 2, degrees_of_freedom)
    return float(special.nctdtrinc(degrees_of_freedom, 1 - POWER, critical))


@lru_cache(maxsize=65_536)
def _enlarged(seed_share: float, of_queries: float, of_seeds: float, level: float) -> float:
    """By how much a statement that rests on an estimated error is enlarged.

    seed_share: of the error's variance; of_queries, of_seeds: degrees of freedom of both its parts. Both the
    experiment that states and the one that is to show it draw them anew.
    """
    stating, showing = (_drawn_errors(at, seed_share, of_queries, of_seeds) for at in (0, 2))
    stated = stating[0] * _about(stating[1], level)
    critical = -showing[0] * special.stdtrit(showing[1], level / 2)

    def too_much(factor: float) -> float:
        return float(special.ndtr(factor * stated - critical).mean()) - POWER

    highest = 2.0
    while too_much(highest) < 0:
        highest *= 2
    return float(optimize.brentq(too_much, 0.5, highest, rtol=1e-4))


def _drawn_errors(
    at: int, seed_share: float, of_queries: float, of_seeds: float
) -> tuple[Floats, Floats]:
    """Standard errors over the true one, and Satterthwaite's degrees of freedom of each."""
    places = _places()[:, at : at + 2]
    queries = (1 - seed_share) * special.chdtri(of_queries, places[:, 0]) / of_queries
    seeds = seed_share * special.chdtri(of_seeds, places[:, 1]) / of_seeds
    variance = queries + seeds
    return np.sqrt(variance), variance**2 / (queries**2 / of_queries + seeds**2 / of_seeds)


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
    while n > 2 and effect * (n - 1) ** 0.5 >= _noncentrality(n - 2, level):
        n -= 1
    while effect * n**0.5 < _noncentrality(n - 1, level):
        n += 1
    return n
