"""One verdict over several tests and first stages, where every single one says "cannot tell".

A test is a collection that systems are measured on. The question is of tests like these: is the system better
on average over them? So a test is one draw (random effects), and counts as one, however many queries it has:

- **A test's effect** is the mean over its queries of the mean over first stages of a query's difference. The
  first stages of a test have its queries in common, so they are no further draws (12 cells of 4 tests are 4).
- **The pooled difference** is the plain mean of the tests' effects, and its error that of their spread, by t
  on (tests - 1) degrees of freedom. It is never taken to be smaller than what the queries alone leave open:
  tests that agree by chance are no proof.
- **Seeds are shared**: the same trained models stand in all tests, so what a seed does to all of them is in no
  spread between tests, and more tests do not make it smaller. It is added once: the variance over seeds of
  their pooled means (`seed_error`: pooled over systems, paired in a lineage), by Satterthwaite's degrees of
  freedom. What a seed does to one test alone is in the spread between tests already and counts a second
  time, on the safe side. Where three seeds are nearly all of the error, 5.5 % of findings are false, not 5
  (Satterthwaite's approximation alone, with 4 degrees of freedom and 3, gives 5.3). Left out they make 59 %, counted as each
  test's own 18 %.
- **Heterogeneity**, told beside it and in no verdict: tau by DerSimonian & Laird (Control. Clin. Trials 7, 1986)
  and I squared, as statsmodels' `combine_effects` has them.

Between tests of equal errors this is the method of Hartung & Knapp (Stat. Med. 20, 2001) and Sidik & Jonkman
(Stat. Med. 21, 2002) in the form that is never below the error of the queries (Roever, Knapp & Friede, BMC Med.
Res. Methodol. 15, 2015). Between unequal ones theirs weighs a test by its queries, and a large one beside small
ones makes false verdicts (IntHout, Ioannidis & Borm, BMC Med. Res. Methodol. 14, 2014, warn of it; on study B's
tests 23 % instead of 5, `benchmarks/pooled_verdicts.py`). Equal weights keep to the level there, at the price of
a wider interval where tests do not differ at all.

**Two tests** leave one degree of freedom: t must reach 12.7, so hardly anything can be shown.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from statsmodels.stats.meta_analysis import combine_effects

from rankscope.core.errors import BadInput
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.margins import Margin
from rankscope.core.judged.over_tests import (
    DifferenceOnCell,
    DifferenceOnTest,
    JudgedOverTests,
)
from rankscope.core.judged.plain import Interval
from rankscope.evaluate.comparison import Pair, Values
from rankscope.evaluate.correction import PValues, corrected_together, times
from rankscope.evaluate.evidence import Floats, are_few
from rankscope.evaluate.seed_error import Runs, SeedError, seed_error
from rankscope.evaluate.verdicts import verdict_of


class Cell(NamedTuple):
    """A comparison on one test from one first stage."""

    test: str
    first_stage: str
    system: str
    baseline: str
    measure: str
    pair: Pair


@dataclass(frozen=True)
class Effect:
    """What one test shows, its first stages together."""

    test: str
    n_queries: int | None
    """None where only means are known, as below."""
    difference: float
    standard_error: float | None
    """Of its queries; that of seeds is in no test alone."""
    cells: Mapping[str, float]
    """First stage to the mean difference from it."""


@dataclass(frozen=True)
class Pooled:
    """System minus baseline over several tests, each of which counts alike."""

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
    """In units of the measure: of a share, that of the baseline's mean over tests."""
    equivalence_p: float | None
    """TOST on the same t; None without a margin."""
    beyond_margin_p: float | None
    """That the difference is larger than the margin, in its own direction: one-sided, doubled."""
    sd: float
    """Of the tests' effects."""
    tau: float | None
    """How far the tests' true effects lie apart (a standard deviation); None where a test's error is not known."""
    i_squared: float | None
    """The share of the spread between tests that their queries do not explain."""


@dataclass(frozen=True)
class JudgedPooled:
    """A pooled difference with its corrected p-values and its verdict."""

    pooled: Pooled
    corrected_p: float
    corrected_equivalence_p: float | None
    corrected_beyond_margin_p: float | None
    verdict: Verdict


# -- the mean over tests -------------------------------------------------------------------------


class OverTests(NamedTuple):
    """Means over tests, an entry each, and how sure they are."""

    mean: Floats
    variance: Floats
    degrees_of_freedom: Floats

    def above(self, bound: Floats | float) -> Floats:
        """One-sided p-values that the true mean is above the bound."""
        with np.errstate(invalid="ignore"):
            t = (self.mean - bound) / np.sqrt(self.variance)
        return np.asarray(special.stdtr(self.degrees_of_freedom, -t))

    def two_sided(self) -> Floats:
        """p-values that the true mean is not 0."""
        return np.asarray(2 * self._replace(mean=np.abs(self.mean)).above(0.0))

    @property
    def turned(self) -> "OverTests":
        """Of the differences with their signs turned."""
        return self._replace(mean=-self.mean)

    def equivalence(self, margin: Floats | float) -> Floats:
        """TOST: p-values that the true mean is within the margin."""
        return np.asarray(np.maximum(self.above(-margin), self.turned.above(-margin)))


def over_tests(effects: Floats, variances: Floats, seeds: SeedError | None = None) -> OverTests:
    """The mean of tests' effects: (rows, tests), a comparison a row.

    variances: of the queries' part of each effect. seeds: what they add to the mean's variance.
    """
    n = effects.shape[1]
    of_tests = effects.var(axis=1, ddof=1) / n
    of_queries = variances.sum(axis=1) / n**2
    variance = np.maximum(of_tests, of_queries)
    freedom = np.full(len(effects), n - 1.0)
    if seeds is not None:
        total = np.maximum(variance + seeds.variance, seeds.spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            both = total**2 / (variance**2 / freedom + seeds.spread**2 / seeds.degrees_of_freedom)
        counted = (total > variance) & np.isfinite(variance)
        variance, freedom = total, np.where(counted, both, freedom)
    return OverTests(effects.mean(axis=1), variance, freedom)


def heterogeneity(effects: Floats, variances: Floats) -> tuple[float | None, float | None]:
    """Tau and I squared of one comparison's tests; None where a test's error is not known."""
    if not np.isfinite(variances).all():
        return None, None
    # statsmodels goes on with a tau squared below 0, and divides by what is left of an error
    with np.errstate(divide="ignore", invalid="ignore"):
        found = combine_effects(effects, variances, method_re="dl")
    return float(np.sqrt(max(0.0, found.tau2))), float(max(0.0, found.i2))


def of_queries(differences: Floats, span: float | None) -> float:
    """The queries' part of the variance of a test's effect.

    Where nearly all queries have the same difference, their spread says nothing of the others (`evidence`). n
    queries miss a share u of queries with probability about exp(-nu): as a variance, (span / n) squared. It is
    infinite where the measure has no bounds.
    """
    n = len(differences)
    seen = float(differences.var(ddof=1)) / n
    if not are_few(differences[None], np.nan if span is None else span)[0]:
        return seen
    return max(seen, np.inf if span is None else (span / n) ** 2)


# -- from values per query -----------------------------------------------------------------------

Contest = Mapping[str, Sequence[Cell]]
"""Of one system, baseline and measure: test to its cells, one for each first stage."""

Seeds = tuple[SeedError, SeedError, SeedError]
"""Of the difference, and of what is tested against the margin from below and from above."""

Matrices = tuple[Floats, ...]
"""A system's values on every test: (seeds, queries), the mean over first stages."""


def pooled(cells: Iterable[Cell], *, significance_level: float = 0.05) -> list[Pooled]:
    """Every system against every baseline on a measure that at least two tests compare.

    A system has as many runs (of training seeds) on every test; the queries of a test are the same from all of
    its first stages.
    """
    contests = [contest for contest in _contests(cells) if len(contest) > 1]
    matrices = _Matrices()
    seeds = _seeds(contests, matrices)
    return [
        _pooled(contest, matrices, seeds[at], significance_level)
        for at, contest in enumerate(contests)
    ]


def _contests(cells: Iterable[Cell]) -> list[Contest]:
    found: dict[tuple[str, str, str], dict[str, list[Cell]]] = {}
    queries: dict[str, Set[str]] = {}
    for cell in cells:
        for run in (*cell.pair.system, *cell.pair.baseline):
            if run.keys() != queries.setdefault(cell.test, run.keys()):
                raise BadInput(
                    f"The runs of {cell.test} do not have the same queries, by which they are paired. Measure all of a "
                    "test's with the same qrels."
                )
        of = found.setdefault((cell.system, cell.baseline, cell.measure), {})
        of.setdefault(cell.test, []).append(cell)
    return list(found.values())


def _first(contest: Contest) -> Cell:
    return next(iter(contest.values()))[0]


class _Matrices:
    """Values as numbers; those of every run are read once."""

    def __init__(self) -> None:
        self._known: dict[int, Floats] = {}

    def of(self, contest: Contest, side: str) -> Matrices:
        """The system's or the baseline's."""
        return tuple(
            np.mean([self._of_runs(getattr(cell.pair, side)) for cell in cells], axis=0)
            for cells in contest.values()
        )

    def _of_runs(self, runs: Sequence[Values]) -> Floats:
        if id(runs) not in self._known:
            queries = sorted(runs[0])
            self._known[id(runs)] = np.array([[run[query] for query in queries] for run in runs])
        return self._known[id(runs)]


def _pooled(contest: Contest, matrices: _Matrices, seeds: Seeds, level: float) -> Pooled:
    cell = _first(contest)
    margin, span = cell.pair.margin, cell.pair.span
    systems, baselines = (
        [matrix.mean(axis=0) for matrix in matrices.of(contest, side)]
        for side in ("system", "baseline")
    )

    def tested(share: float, of: SeedError) -> OverTests:
        """System - (1 - share) x baseline."""
        moved = [a - (1 - share) * b for a, b in zip(systems, baselines, strict=True)]
        means, variances = _of_tests(moved, span)
        return over_tests(means[None], variances[None], of)

    plain = lower = upper = tested(0.0, seeds[0])
    if margin is not None and margin.is_relative:
        lower, upper = tested(margin.value, seeds[1]), tested(-margin.value, seeds[2])
    differences = [a - b for a, b in zip(systems, baselines, strict=True)]
    means, variances = _of_tests(differences, span)
    effects = tuple(
        Effect(test, len(each), float(mean), float(variance**0.5), _by_first_stage(cells, matrices))
        for (test, cells), each, mean, variance in zip(
            contest.items(), differences, means, variances, strict=True
        )
    )
    baseline_mean = float(np.mean([each.mean() for each in baselines]))
    names = Names(cell.system, cell.baseline, cell.measure)
    found = told(names, effects, (plain, lower, upper), (margin, baseline_mean), level)
    tau, i_squared = heterogeneity(means, variances)
    return replace(found, tau=tau, i_squared=i_squared)


def _of_tests(differences: Sequence[Floats], span: float | None) -> tuple[Floats, Floats]:
    """The effect of every test, and the queries' part of its variance."""
    means = np.array([each.mean() for each in differences])
    return means, np.array([of_queries(each, span) for each in differences])


def _by_first_stage(cells: Sequence[Cell], matrices: _Matrices) -> dict[str, float]:
    return {
        cell.first_stage: float(
            matrices.of({"": [cell]}, "system")[0].mean() - matrices.of({"": [cell]}, "baseline")[0].mean()
        )
        for cell in cells
    }  # fmt: skip


class Names(NamedTuple):
    """What is compared with what."""

    system: str
    baseline: str
    measure: str


def told(
    names: Names,
    effects: tuple[Effect, ...],
    tested: tuple[OverTests, OverTests, OverTests],
    stated: tuple[Margin | None, float],
    level: float,
) -> Pooled:
    """What is shown over tests.

    tested: the difference, and what is held against the margin from below and from above; of a share, system
    - (1 - share) x baseline and system - (1 + share) x baseline. stated: the margin and the baseline's mean.
    """
    plain, lower, upper = tested
    margin, baseline_mean = stated
    shift = 0.0 if margin is None or margin.is_relative else margin.value
    mean, freedom = float(plain.mean[0]), float(plain.degrees_of_freedom[0])
    error = float(np.sqrt(plain.variance[0]))
    half = -float(special.stdtrit(freedom, level / 2)) * error
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


# -- training seeds ------------------------------------------------------------------------------


def _seeds(contests: Sequence[Contest], matrices: _Matrices) -> list[Seeds]:
    """The seeds' part of every contest's error, pooled over all that have its measure, tests and first stages."""
    found: list[Seeds] = [_NO_SEEDS] * len(contests)
    blocks: dict[Any, list[int]] = {}
    for at, contest in enumerate(contests):
        places = [(test, cell.first_stage) for test, cells in contest.items() for cell in cells]
        blocks.setdefault((_first(contest).measure, tuple(places)), []).append(at)
    for block in blocks.values():
        for at, seeds in zip(
            block, _of_block([contests[at] for at in block], matrices), strict=True
        ):
            found[at] = seeds
    return found


_NO_SEEDS = (SeedError.none(1),) * 3


def _of_block(contests: Sequence[Contest], matrices: _Matrices) -> list[Seeds]:
    firsts = [_first(contest) for contest in contests]
    if all(len(cell.pair.system) == len(cell.pair.baseline) == 1 for cell in firsts):
        return [_NO_SEEDS] * len(contests)
    places: dict[str, int] = {}
    rankers: list[Runs] = []
    for cell, contest in zip(firsts, contests, strict=True):
        sides = ((cell.system, "system"), (cell.baseline, "baseline"))
        for (name, side), lineage in zip(sides, cell.pair.lineages, strict=True):
            if name not in places:
                places[name] = len(rankers)
                table = over_all_tests(matrices.of(contest, side))
                rankers.append(Runs(table, pool=0, lineage=lineage))
    systems = np.array([places[cell.system] for cell in firsts])
    baselines = np.array([places[cell.baseline] for cell in firsts])
    margins = [cell.pair.margin for cell in firsts]
    share = np.array([m.value if m is not None and m.is_relative else 0.0 for m in margins])
    kinships = [cell.pair.kinship for cell in firsts]
    three = [
        seed_error(rankers, systems, baselines, kinships, weights, None)
        for weights in (np.ones(len(firsts)), 1 - share, 1 + share)
    ]
    return [_at(three, at) for at in range(len(firsts))]


def _at(three: Sequence[SeedError], at: int) -> Seeds:
    plain, lower, upper = (SeedError(*(part[at : at + 1] for part in each)) for each in three)
    return plain, lower, upper


def over_all_tests(matrices: Matrices) -> Floats:
    """A system's values on several tests as those on one, whose mean is the plain mean of the tests' means."""
    n = sum(matrix.shape[1] for matrix in matrices)
    return np.concatenate(
        [matrix * n / (len(matrices) * matrix.shape[1]) for matrix in matrices], axis=1
    )


# -- verdicts ------------------------------------------------------------------------------------


def judged(
    family: Sequence[Pooled],
    *,
    significance_level: float = 0.05,
    correction: str = "holm",
    family_size: int | None = None,
) -> list[JudgedPooled]:
    """A verdict for every pooled difference, in the same order; they are a family of their own."""
    tests = [PValues(each.p_value, each.equivalence_p) for each in family]
    both = corrected_together(tests, method=correction, family_size=family_size)
    size = 1 if correction == "none" else family_size or len(family)
    return [
        JudgedPooled(
            each,
            corrected_p=p,
            corrected_equivalence_p=q,
            corrected_beyond_margin_p=times(size, each.beyond_margin_p),
            verdict=verdict_of(each.difference, p, q, significance_level),
        )
        for each, (p, q) in zip(family, both, strict=True)
    ]


def recorded(judged_pooled: JudgedPooled) -> JudgedOverTests:
    """What is stored and shown of it: every field of the record is the attribute of that name, here or of the difference.

    But for the margin, which is stored in units of the measure, and errors, which are stored where they are finite.
    """
    difference = judged_pooled.pooled
    effects = difference.effects
    first_stages = {name for effect in effects for name in effect.cells}
    values = {
        "n_tests": len(effects),
        "n_first_stages": len(first_stages),
        "standard_error": _finite(difference.standard_error),
        "margin": difference.absolute_margin,
        "margin_is_relative": difference.margin is not None and difference.margin.is_relative,
        "tests": tuple(
            DifferenceOnTest(
                effect.test, effect.n_queries, effect.difference, _finite(effect.standard_error)
            )
            for effect in effects
        ),
        "cells": tuple(
            DifferenceOnCell(effect.test, first_stage, of_cell)
            for effect in effects
            for first_stage, of_cell in effect.cells.items()
        ),
    }
    by_name = {
        field.name: getattr(
            judged_pooled if hasattr(judged_pooled, field.name) else difference, field.name
        )
        for field in fields(JudgedOverTests)
        if field.name not in values
    }
    return JudgedOverTests(**by_name, **values)


def _finite(error: float | None) -> float | None:
    return error if error is not None and isfinite(error) else None
