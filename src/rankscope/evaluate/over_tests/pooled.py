"""One verdict over several tests and first stages, where every single one says "cannot tell".

A test is a collection that systems are measured on. The question is about tests like these: is the system better
on average over them? So a test is one draw (random effects) and counts as one, however many queries it has:

- **A test's effect** is a mean over queries: of each query's difference, averaged over first stages. The first
  stages of a test share its queries, so they are no further draws (12 cells of 4 tests are 4 draws).
- **The pooled difference** is the unweighted mean of the tests' effects. Its error comes from the spread of the
  effects, by t with (tests - 1) degrees of freedom, and is never smaller than the queries' error alone: tests that
  agree by chance are no proof.
- **Seeds are shared**: all tests measure the same trained models, so an effect of a seed on all tests is not in the
  spread between tests, and more tests do not make it smaller. It is added once: the variance over seeds of
  their pooled means (`seed_error`: pooled over systems, paired in a lineage), with a tail that is averaged where seeds
  are few (`pairs.tail`). An effect of a seed on one test alone is in the spread between tests already and counts a
  second time, which is conservative. Where three seeds make nearly all of the error, the rate of false findings would
  be 59 % if seeds were ignored, and 18 % if they counted in each test separately.
- **Heterogeneity** is reported and decides no verdict: tau by DerSimonian & Laird (Control. Clin. Trials 7, 1986)
  and I squared, both from statsmodels' `combine_effects`.

For tests with equal errors this is the method of Hartung & Knapp (Stat. Med. 20, 2001) and Sidik & Jonkman
(Stat. Med. 21, 2002) in the form that is never below the error of the queries (Roever, Knapp & Friede, BMC Med.
Res. Methodol. 15, 2015). For unequal errors their method weights a test by its queries, and one large test among
small ones leads to false verdicts (IntHout, Ioannidis & Borm, BMC Med. Res. Methodol. 14, 2014, warn of it; on
study B's tests 23 % instead of 5, `benchmarks/pooled_verdicts.py`). Equal weights keep the level there, at the price
of a wider interval where tests do not differ at all.

**Two tests** leave one degree of freedom: t must reach 12.7, so hardly any difference is detectable.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from rankscope.core.errors import BadInput
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.over_tests import (
    DifferenceOnCell,
    DifferenceOnTest,
    JudgedOverTests,
)
from rankscope.evaluate.arrays import Floats, Values
from rankscope.evaluate.over_tests.mean import (
    ContestNames,
    Effect,
    OverTests,
    Pooled,
    difference_over_tests,
    heterogeneity,
    of_queries,
    over_tests,
)
from rankscope.evaluate.pairs.comparison import MeasuredPair
from rankscope.evaluate.pairs.correction import PValues, corrected_together, times
from rankscope.evaluate.pairs.verdicts import verdict_of
from rankscope.evaluate.seeds.seed_error import Runs, SeedError, seed_error


class Cell(NamedTuple):
    """A comparison on one test from one first stage."""

    test: str
    first_stage: str
    system: str
    baseline: str
    measure: str
    pair: MeasuredPair


@dataclass(frozen=True)
class JudgedPooled:
    """A pooled difference with its corrected p-values and its verdict."""

    pooled: Pooled
    corrected_p: float
    corrected_equivalence_p: float | None
    corrected_beyond_margin_p: float | None
    verdict: Verdict


# -- from values per query -----------------------------------------------------------------------

Contest = Mapping[str, Sequence[Cell]]
"""For one system, baseline and measure: test to its cells, one for each first stage."""

Seeds = tuple[SeedError, SeedError, SeedError]
"""The seeds' errors of the difference, and of the contrasts compared with the margin from below and from above."""

Matrices = tuple[Floats, ...]
"""A system's values on every test: (seeds, queries), the mean over first stages."""


def pooled(cells: Iterable[Cell], *, significance_level: float = 0.05) -> list[Pooled]:
    """Every system minus every baseline, on each measure that at least two tests compare.

    A system has equally many runs (training seeds) on every test, and a test has the same queries from all of its
    first stages. Raises BadInput where they differ.
    """
    contests = [contest for contest in _contests(cells) if len(contest) > 1]
    matrices = _Matrices()
    seeds = _seeds(contests, matrices)
    return [
        _pooled(contest, matrices, seeds[at], significance_level)
        for at, contest in enumerate(contests)
    ]


def _contests(cells: Iterable[Cell]) -> list[Contest]:
    contests: dict[tuple[str, str, str], dict[str, list[Cell]]] = {}
    queries: dict[str, Set[str]] = {}
    for cell in cells:
        for run in (*cell.pair.system, *cell.pair.baseline):
            if run.keys() != queries.setdefault(cell.test, run.keys()):
                raise BadInput(
                    f"The runs of {cell.test} do not have the same queries, by which they are paired. Measure all runs "
                    "of a test with the same qrels."
                )
        by_test = contests.setdefault((cell.system, cell.baseline, cell.measure), {})
        by_test.setdefault(cell.test, []).append(cell)
    return list(contests.values())


def _first(contest: Contest) -> Cell:
    return next(iter(contest.values()))[0]


class _Matrices:
    """Values as arrays, made once for every run."""

    def __init__(self) -> None:
        self._known: dict[int, Floats] = {}

    def of(self, contest: Contest, side: str) -> Matrices:
        """The values of the system or of the baseline."""
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

    def tested(share: float, seed_part: SeedError) -> OverTests:
        """The contrast system - (1 - share) x baseline."""
        moved = [a - (1 - share) * b for a, b in zip(systems, baselines, strict=True)]
        means, variances = _of_tests(moved, span)
        return over_tests(means[None], variances[None], seed_part)

    plain = lower = upper = tested(0.0, seeds[0])
    if margin is not None and margin.is_relative:
        lower, upper = tested(margin.value, seeds[1]), tested(-margin.value, seeds[2])
    differences = [a - b for a, b in zip(systems, baselines, strict=True)]
    means, variances = _of_tests(differences, span)
    effects = tuple(
        Effect(
            test, len(by_query), float(mean), float(variance**0.5), _by_first_stage(cells, matrices)
        )
        for (test, cells), by_query, mean, variance in zip(
            contest.items(), differences, means, variances, strict=True
        )
    )
    baseline_mean = float(np.mean([values.mean() for values in baselines]))
    names = ContestNames(cell.system, cell.baseline, cell.measure)
    pooled_difference = difference_over_tests(
        names, effects, (plain, lower, upper), (margin, baseline_mean), level
    )
    tau, i_squared = heterogeneity(means, variances)
    return replace(pooled_difference, tau=tau, i_squared=i_squared)


def _of_tests(differences: Sequence[Floats], span: float | None) -> tuple[Floats, Floats]:
    """The effect of every test, and the queries' part of its variance."""
    means = np.array([values.mean() for values in differences])
    return means, np.array([of_queries(values, span) for values in differences])


def _by_first_stage(cells: Sequence[Cell], matrices: _Matrices) -> dict[str, float]:
    return {
        cell.first_stage: float(
            matrices.of({"": [cell]}, "system")[0].mean() - matrices.of({"": [cell]}, "baseline")[0].mean()
        )
        for cell in cells
    }  # fmt: skip


# -- training seeds ------------------------------------------------------------------------------


def _seeds(contests: Sequence[Contest], matrices: _Matrices) -> list[Seeds]:
    """The seeds' part of every contest's error, pooled over contests with the same measure, tests and first stages."""
    parts: list[Seeds] = [_NO_SEEDS] * len(contests)
    blocks: dict[Any, list[int]] = {}
    for at, contest in enumerate(contests):
        places = [(test, cell.first_stage) for test, cells in contest.items() for cell in cells]
        blocks.setdefault((_first(contest).measure, tuple(places)), []).append(at)
    seeded = [block for block in blocks.values() if any(_has_seeds(contests[at]) for at in block)]
    for block in seeded:
        of_block = _of_block([contests[at] for at in block], matrices, len(seeded) > 1)
        for at, seeds in zip(block, of_block, strict=True):
            parts[at] = seeds
    return parts


_NO_SEEDS = (SeedError.none(1),) * 3


def _has_seeds(contest: Contest) -> bool:
    pair = _first(contest).pair
    return max(len(pair.system), len(pair.baseline)) > 1


def _of_block(contests: Sequence[Contest], matrices: _Matrices, has_others: bool) -> list[Seeds]:
    firsts = [_first(contest) for contest in contests]
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
        seed_error(rankers, systems, baselines, kinships, weights, None, has_other_pools=has_others)
        for weights in (np.ones(len(firsts)), 1 - share, 1 + share)
    ]
    return [_at(three, at) for at in range(len(firsts))]


def _at(three: Sequence[SeedError], at: int) -> Seeds:
    plain, lower, upper = (error.at(slice(at, at + 1)) for error in three)
    return plain, lower, upper


def over_all_tests(matrices: Matrices) -> Floats:
    """A system's values on several tests as if on one, scaled so that their mean is the mean of the tests' means."""
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
    """A verdict for every pooled difference, in the same order; pooled differences are a family of their own."""
    tests = [PValues(difference.p_value, difference.equivalence_p) for difference in family]
    both = corrected_together(tests, method=correction, family_size=family_size)
    size = 1 if correction == "none" else family_size or len(family)
    return [
        JudgedPooled(
            difference,
            corrected_p=p,
            corrected_equivalence_p=q,
            corrected_beyond_margin_p=times(size, difference.beyond_margin_p),
            verdict=verdict_of(difference.difference, p, q, significance_level),
        )
        for difference, (p, q) in zip(family, both, strict=True)
    ]


def recorded(judged_pooled: JudgedPooled) -> JudgedOverTests:
    """The record that is stored and shown: each field is the attribute of that name, here or of the difference.

    There are two exceptions: the margin is stored in units of the measure, and an infinite error as None.
    """
    difference = judged_pooled.pooled
    effects = difference.effects
    first_stages = {name for effect in effects for name in effect.cells}
    values: dict[str, Any] = {
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
