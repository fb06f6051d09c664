"""The power of a set of queries and seeds: the minimum detectable effect, and the queries needed."""

from functools import lru_cache
from math import inf
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from scipy.stats import qmc

from rankscope.evaluate.arrays import SAME, Floats
from rankscope.evaluate.pairs.comparison import Comparison
from rankscope.evaluate.pairs.evidence import transformed_back
from rankscope.evaluate.pairs.tail import Tail, total
from rankscope.evaluate.seeds.seed_error import SeedError

POWER = 0.8
Z_OF_POWER = float(special.ndtri(POWER))
AIM = 0.815
"""What is aimed at where seeds count, in the middle of what is shown of it: pools that set one equal system in a hundred
apart (`seed_error.OUTLIER`) lose two to three points of it, those that seldom do lose none (docs/verdicts.md)."""
BEYOND_ANY_COLLECTION = 1e9
BEYOND_ANY_TEST = 1e5
DRAWS = 512
"""Points of a Sobol sequence over which power is averaged, a power of 2."""
ROUNDS = 3
"""How often a statement is calibrated. Without it docs/verdicts.md would have 78 to 91 % shown, with one round 77 to 83,
with two 78 to 82, as with more."""
RATIOS: Floats = np.exp(np.linspace(-8, 8, 129))
"""The seeds' spread over the queries' variances, for which critical values are known; between them is interpolated."""
STEP = 4
STATED_FOR: Floats = RATIOS[::STEP]
"""Those of them for which statements are."""


def smallest_detectable(comparison: Comparison, level: float) -> float | None:
    """The minimum detectable effect: the mean difference that a two-sided test at `level` detects with 80 % power.

    None without spread, and where it is that of a few queries: it says nothing of others (`evidence`).
    Of one run a system, that of the t-test. With several seeds the standard error rests on few draws, and a
    statement that took it for the truth would be met less often; so it is enlarged until a new experiment
    of the same kind shows it in 80 %, over all that the truth and the two experiments' errors may be (`_curve`).
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
    by_queries = queries + seeds.noise
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.nan_to_num(np.round(20 * seeds.noise / by_queries) / 20)
        ratios = np.log(seeds.spread / by_queries)
    freedoms = np.maximum(0.5, np.round(seeds.degrees_of_freedom, 1))
    designs = zip(noise.tolist(), freedoms.tolist(), seeds.is_averaged.tolist(), strict=True)
    stated = [
        np.interp(ratio, np.log(STATED_FOR), _curve(_Design(*design, queries_freedom, level)))
        for ratio, design in zip(ratios, designs, strict=True)
    ]
    return np.asarray(np.exp(stated) * np.sqrt(variance))


class _Design(NamedTuple):
    """What experiments have in common, in few different numbers."""

    noise: float
    """The share of the noise that is taken off the seeds' spread in the sum of it and the queries' part, which is 1."""
    degrees_of_freedom: float
    is_averaged: bool
    queries_freedom: float
    level: float

    def critical(self) -> Floats:
        """The critical value at each of `RATIOS`."""
        noise, freedom, queries = (
            np.full(len(RATIOS), of_all)
            for of_all in (self.noise, self.degrees_of_freedom, 1 - self.noise)
        )
        marks = np.full(len(RATIOS), self.is_averaged)
        seeds = SeedError.of(RATIOS, noise, freedom, is_averaged=marks)
        return Tail.of(queries, self.queries_freedom, seeds).critical(self.level / 2)

    def error(self, queries: Floats | float, spread: Floats) -> Floats:
        """The standard error; queries: how many times as large their part is."""
        of_queries = np.asarray((1 - self.noise) * queries)
        return np.asarray(np.sqrt(total(of_queries, np.maximum(0.0, spread - self.noise), spread)))


class _Drawn(NamedTuple):
    """Experiments: (truths, draws)."""

    ratio: Floats
    """The seeds' spread over the sum of the queries' part and the noise."""
    error: Floats
    queries_share: Floats
    """The error by queries alone, over all of it."""


@lru_cache(maxsize=4_096)
def _curve(design: _Design) -> Floats:
    """The logarithm of the statement over its standard error, where spreads are `STATED_FOR`.

    The truth is drawn as it may be, given the estimate: the fiducial distribution of the seeds' variance (`tail`), with
    which a statement is exact where seeds are all of the error. Where they are a part of it, such a statement is too
    large; so it is calibrated, which is a bootstrap that is iterated (Beran 1987): it is multiplied by what lets
    experiments drawn from these truths show, at the same power, what others drawn from them state.
    Differences are taken as normal. The skewness that the second happens to have raises what Hall's transformation
    asks of it.
    """
    places = _places()
    freedom = design.degrees_of_freedom
    spread = STATED_FOR[:, None] * freedom / special.chdtri(freedom, places[:, 0])
    # noise of single queries is in the true spread, too, as far as it is in the differences
    spread = np.maximum(spread, min(design.noise, 1 - design.noise))
    error = design.error(1.0, spread)
    first, second = (_drawn(design, spread, places[:, at : at + 2]) for at in (1, 3))
    critical = design.critical()
    needed = _needed(critical, second, design.queries_freedom + 1, places[:, 5]) / error
    # as many estimated errors as would do if they were the true ones
    stated = np.log(critical[::STEP] + Z_OF_POWER)
    of_given = np.exp(stated)[:, None] * design.error(1.0, STATED_FOR[:, None])
    stated = stated + _factors(of_given / error, needed)
    for _ in range(ROUNDS):
        of_first = np.exp(np.interp(np.log(first.ratio), np.log(STATED_FOR), stated))
        stated = stated + _factors(of_first * first.error / error, needed)
    return stated


def _factors(stated: Floats, needed: Floats) -> Floats:
    """The logarithm of what each row of statements is multiplied by, so that as many are met as are aimed at."""
    low, high = np.full(len(needed), -3.0), np.full(len(needed), 9.0)
    for _ in range(16):
        middle = (low + high) / 2
        met = special.ndtr(np.exp(middle)[:, None] * stated - needed).mean(axis=1)
        low, high = np.where(met < AIM, middle, low), np.where(met < AIM, high, middle)
    return np.asarray((low + high) / 2)


def _drawn(design: _Design, spread: Floats, places: Floats) -> _Drawn:
    """Experiments whose true spreads these are."""
    of_queries, of_seeds = (
        special.chdtri(freedom, places[:, at]) / freedom
        for at, freedom in enumerate((design.queries_freedom, design.degrees_of_freedom))
    )
    error = design.error(of_queries, spread * of_seeds)
    queries = (1 - design.noise) * of_queries
    return _Drawn(spread * of_seeds / (queries + design.noise), error, np.sqrt(queries) / error)


def _needed(by_ratio: Floats, second: _Drawn, n: float, places: Floats) -> Floats:
    """The difference that each second experiment, of n queries, must see; by_ratio: the critical values."""
    critical = np.exp(np.interp(np.log(second.ratio), np.log(RATIOS), np.log(by_ratio)))
    skewness = special.ndtri(places) * 6**0.5 / n * second.queries_share**3
    return np.asarray(np.maximum(critical, transformed_back(critical, skewness)) * second.error)


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


@lru_cache(maxsize=1)
def _places() -> Floats:
    return np.asarray(qmc.Sobol(6, seed=0).random(DRAWS))


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
