"""The mean of tests' effects, its error, and the heterogeneity of the tests (`pooled` gives the reasons)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rankscope.core.judged.margins import Margin
from rankscope.core.judged.plain import Interval
from rankscope.evaluate.arrays import Floats
from rankscope.evaluate.pairs.evidence import are_few
from rankscope.evaluate.pairs.tail import Tail, total
from rankscope.evaluate.seeds.seed_error import SeedError


@dataclass(frozen=True)
class Effect:
    """The effect on one test, averaged over its first stages."""

    test: str
    n_queries: int | None
    """None where only means are known."""
    difference: float
    standard_error: float | None
    """Over its queries, without the part of the seeds, which all tests share; None where only means are known."""
    cells: Mapping[str, float]
    """First stage to the mean difference from it."""


@dataclass(frozen=True)
class Pooled:
    """System minus baseline over several tests, each with equal weight."""

    system: str
    baseline: str
    measure: str
    effects: tuple[Effect, ...]
    difference: float
    standard_error: float
    """Infinite where a measure without bounds shows no spread in a test."""
    degrees_of_freedom: float
    interval: Interval
    p_value: float
    margin: Margin | None
    absolute_margin: float | None
    """In units of the measure; a relative margin is a share of the baseline's mean over tests."""
    equivalence_p: float | None
    """TOST, by the same t distribution; None without a margin."""
    beyond_margin_p: float | None
    """p-value that the difference exceeds the margin in its own direction: one-sided, doubled."""
    sd: float
    """The standard deviation of the tests' effects."""
    tau: float | None
    """The standard deviation of the tests' true effects; None where a test's error is not known."""
    i_squared: float | None
    """The share of the variance between tests that their queries do not explain."""


class OverTests(NamedTuple):
    """Means over tests, an entry a comparison, with their variances and distributions."""

    mean: Floats
    variance: Floats
    tail: Tail

    def above(self, bound: Floats | float) -> Floats:
        """One-sided p-values that the true mean is above the bound."""
        with np.errstate(invalid="ignore"):
            t = (self.mean - bound) / np.sqrt(self.variance)
        return self.tail.above(t)

    def two_sided(self) -> Floats:
        """p-values that the true mean is not 0."""
        return np.asarray(2 * self._replace(mean=np.abs(self.mean)).above(0.0))

    @property
    def turned(self) -> "OverTests":
        """The same for baseline minus system."""
        return self._replace(mean=-self.mean)

    def equivalence(self, margin: Floats | float) -> Floats:
        """TOST: p-values that the true mean is within the margin."""
        return np.asarray(np.maximum(self.above(-margin), self.turned.above(-margin)))


def over_tests(effects: Floats, variances: Floats, seeds: SeedError | None = None) -> OverTests:
    """The mean over tests of effects, (rows, tests), a comparison a row.

    variances: the queries' part of the variance of each effect. seeds: their part of the variance of the mean.
    """
    n = effects.shape[1]
    of_tests = effects.var(axis=1, ddof=1) / n
    of_queries = variances.sum(axis=1) / n**2
    alone = np.maximum(of_tests, of_queries)
    counted = SeedError.none(len(effects)) if seeds is None else seeds
    variance = total(alone, counted.variance, counted.spread)
    return OverTests(effects.mean(axis=1), variance, Tail.of(alone, n - 1.0, counted))


def heterogeneity(effects: Floats, variances: Floats) -> tuple[float | None, float | None]:
    """Tau and I squared of one comparison's tests; None where a test's error is not known."""
    if not np.isfinite(variances).all():
        return None, None
    from statsmodels.stats.meta_analysis import combine_effects

    # statsmodels keeps a negative tau squared, and may divide by a total variance of 0
    with np.errstate(divide="ignore", invalid="ignore"):
        estimates = combine_effects(effects, variances, method_re="dl")
    return float(np.sqrt(max(0.0, estimates.tau2))), float(max(0.0, estimates.i2))


def of_queries(differences: Floats, span: float | None) -> float:
    """The queries' part of the variance of a test's effect.

    Where nearly all queries have the same difference, their spread says nothing about unseen queries (`evidence`).
    A sample of n queries misses a share u of all queries with probability about exp(-nu), which as a variance is
    (span / n) squared. It is infinite where the measure has no bounds.
    """
    n = len(differences)
    seen = float(differences.var(ddof=1)) / n
    if not are_few(differences[None], np.nan if span is None else span)[0]:
        return seen
    return max(seen, np.inf if span is None else (span / n) ** 2)


class ContestNames(NamedTuple):
    """The names of a comparison over tests."""

    system: str
    baseline: str
    measure: str


def difference_over_tests(
    names: ContestNames,
    effects: tuple[Effect, ...],
    tested: tuple[OverTests, OverTests, OverTests],
    stated: tuple[Margin | None, float],
    level: float,
) -> Pooled:
    """The pooled difference with its p-values and interval.

    tested: the difference, and the contrasts that are compared with the margin from below and from above; for a
    relative margin they are system - (1 - share) x baseline and system - (1 + share) x baseline. stated: the
    margin and the baseline's mean.
    """
    plain, lower, upper = tested
    margin, baseline_mean = stated
    shift = 0.0 if margin is None or margin.is_relative else margin.value
    mean, freedom = float(plain.mean[0]), float(plain.tail.degrees_of_freedom[0])
    error = float(np.sqrt(plain.variance[0]))
    half = float(plain.tail.critical(level / 2)[0]) * error
    inside = max(lower.above(-shift)[0], upper.turned.above(-shift)[0])
    # the direction is chosen by the data, so it counts twice
    beyond = 2 * (upper.above(shift) if mean >= 0 else lower.turned.above(shift))[0]
    return Pooled(
        system=names.system,
        baseline=names.baseline,
        measure=names.measure,
        effects=effects,
        difference=mean,
        standard_error=error,
        degrees_of_freedom=freedom,
        interval=Interval(mean - half, mean + half),
        p_value=float(plain.two_sided()[0]),
        margin=margin,
        absolute_margin=None
        if margin is None
        else margin.value * (baseline_mean if margin.is_relative else 1.0),
        equivalence_p=None if margin is None else float(inside),
        beyond_margin_p=None if margin is None else min(1.0, float(beyond)),
        sd=float(np.std([effect.difference for effect in effects], ddof=1)),
        tau=None,
        i_squared=None,
    )
