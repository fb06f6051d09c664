"""Two rankers on the same queries: difference, interval, effect size, p-values.

Values are paired by query_id, never by position. The tests and distributions are scipy's. This
package adds what they lack: a standard error with a part for training seeds (`seed_error`), tests for differences that
are skewed or have no spread (`evidence`), and resamples that many comparisons share (`resampling`).

**The standard error** of a mean difference is the sum of two variances. The first is that of the queries' differences;
where queries come in groups it is cluster-robust, as statsmodels' `cov_type="cluster"`, with a correction for groups of
unequal sizes. The second, for rankers with several training seeds, is that of the seeds. The degrees of freedom are
Satterthwaite's; where too few seeds make a far tail unreliable, the tail is averaged (`tail`). With one run a ranker,
no groups and no skewness, the test is the paired t-test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import Margin
from rankscope.core.judged.plain import Interval
from rankscope.core.progress import SILENT, Advance, Progress, untold
from rankscope.core.words import counted, of_number
from rankscope.evaluate.arrays import SAME, Bools, Floats, Places, Values
from rankscope.evaluate.pairs.resampling import Resampling
from rankscope.evaluate.pairs.tested import Contrasts, Grouping, Tested, shown, tested
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import Runs, SeedError

EXACT_WILCOXON = 50
"""The largest number of differences without ties for which Wilcoxon's exact distribution is used."""


class MeasuredPair(NamedTuple):
    """Two rankers to compare: each one's values per query, a mapping for each training seed.

    A ranker in several pairs is recognised by the identity of its runs' mappings.
    """

    system: Sequence[Values]
    baseline: Sequence[Values]
    margin: Margin | None = None
    pool: str = ""
    """The spread of seeds is pooled over the systems of all pairs with the same pool: one measure in one place."""
    kinship: Kinship = Kinship.NONE
    """What the k-th runs of both have in common."""
    lineages: tuple[str, str] = ("", "")
    """The lineages of system and baseline. Systems of a lineage vary together from seed to seed, compared with each
    other or not; a system without a lineage varies alone."""
    span: float | None = 1.0
    """The largest difference the measure allows; None where it has no bounds."""


@dataclass(frozen=True)
class Sample:
    """The data of a comparison, kept so that it can be tested again with some differences replaced."""

    differences: Floats
    """(queries,), in the order of their ids."""
    baseline: Floats
    """(queries,), the baseline's values."""
    query_ids: tuple[str, ...]
    group_of: Places | None
    grouping: Grouping
    seeds: tuple[SeedError, SeedError, SeedError]
    """The seeds' errors of the difference, and of the contrasts compared with the margin from below and from above."""
    margin: Margin | None
    span: float | None

    def evidence(self, differences: Floats) -> "Tested":
        """The tests of other differences in place of these: (rows, queries), a sample a row."""
        n = len(differences)
        seeds = [error.repeated(n) for error in self.seeds]
        baseline = np.repeat(self.baseline[None], n, axis=0)
        spans = np.full(n, np.nan if self.span is None else self.span)
        return tested(differences, baseline, [self.margin] * n, seeds, self.group_of, spans)


@dataclass(frozen=True)
class Comparison:
    """System minus baseline over the same queries."""

    n_queries: int
    n_groups: int
    """Groups of queries that may depend on each other; as many as queries where none were given."""
    n_seeds: tuple[int, int]
    """Training seeds of the system and of the baseline."""
    system_mean: float
    baseline_mean: float
    difference: float
    sd: float
    """The standard deviation of the queries' differences."""
    standard_error: float
    degrees_of_freedom: float
    seed_sd: tuple[float | None, float | None]
    """The standard deviation of the seeds' means, of system and baseline; None with one seed."""
    interval: Interval
    """The interval of the mean difference: at each end the wider of t's and Hall's; infinite where an unbounded
    measure shows no spread."""
    bootstrap_interval: Interval | None
    """BCa bootstrap over queries (or groups); None with several seeds, whose spread it would ignore."""
    effect_size: float | None
    """Mean difference over the standard deviation of the differences; None without spread."""
    effect_interval: Interval | None
    p_value: float
    """Two-sided p-value that the means differ (`evidence`)."""
    wilcoxon_p: float | None
    randomisation_p: float | None
    mcnemar_p: float | None
    """McNemar's exact test, for measures that are 0 or 1 for every query."""
    margin: Margin | None
    equivalence_p: float | None
    """TOST: the larger p-value of two one-sided tests against the margin; None without a margin."""
    non_inferiority_p: float | None
    """One-sided p-value that the system is not worse by the margin."""
    beyond_margin_p: float | None
    """p-value that the difference exceeds the margin in its own direction: one-sided, doubled."""
    n_differing: int
    """Queries in which the two differ at all."""
    is_few: bool
    """Whether nearly all differences are the same, so that unseen queries must be allowed for (`evidence`)."""
    sample: Sample = field(repr=False, compare=False)

    @property
    def absolute_margin(self) -> float | None:
        """The margin in units of the measure."""
        if self.margin is None:
            return None
        return self.margin.value * (self.baseline_mean if self.margin.is_relative else 1.0)

    @property
    def margin_is_relative(self) -> bool:
        """Whether the margin was stated as a share of the baseline's mean."""
        return self.margin is not None and self.margin.is_relative

    @property
    def span(self) -> float | None:
        """The largest difference the measure allows; None where it has no bounds."""
        return self.sample.span


def compared(
    pairs: Sequence[MeasuredPair],
    *,
    significance_level: float = 0.05,
    groups: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
    is_for_verdicts: bool = False,
    progress: Progress = SILENT,
) -> list[Comparison]:
    """The comparison of every pair, in the same order.

    `groups` maps a query_id to its group of queries. Without `resampling` there is neither a bootstrap interval
    nor a randomisation test; where it `is_for_verdicts`, no Wilcoxon test either, on which no verdict rests. Raises BadInput if the two rankers of a pair do not cover the same queries, if a value is
    not a number, if there are fewer than two queries or groups, or if a query has no group.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    query_ids: dict[int, tuple[str, ...]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(_queries(pair, query_ids), []).append(place)
    comparisons: dict[int, Comparison] = {}
    seeded = {pair.pool for pair in pairs if max(len(pair.system), len(pair.baseline)) > 1}
    n_drawn = resampling.n_drawn if resampling else 0
    with progress.task("compare", len(places) * n_drawn, "resamples") as task:
        for queries, of_block in places.items():
            block = _Block(
                queries,
                [pairs[place] for place in of_block],
                groups,
                has_other_pools=len(seeded) > 1,
            )
            made = block.comparisons(
                significance_level, resampling, task.advance, is_for_verdicts=is_for_verdicts
            )
            comparisons |= dict(zip(of_block, made, strict=True))
    return [comparisons[place] for place in range(len(pairs))]


def _queries(pair: MeasuredPair, known: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The queries of a pair, in order; known: those of runs that other pairs had."""
    first, *others = (*pair.system, *pair.baseline)
    for other in others:
        if other.keys() != first.keys():
            only = sorted(other.keys() ^ first.keys())
            raise BadInput(
                f"Two runs can be compared over the same queries only: {len(only)} {of_number(len(only), 'stands', 'stand')} in one of "
                f"them (first: {only[0]}). Measure both with the same qrels."
            )
    known |= {id(run): _query_ids(run) for run in (first, *others) if id(run) not in known}
    return known[id(first)]


def _query_ids(run: Values) -> tuple[str, ...]:
    """The queries of a run, in order; raises BadInput where there are too few, or one's value is not a number."""
    unknown = next((query for query, value in run.items() if math.isnan(value)), None)
    if unknown is not None:
        raise BadInput(f"Query {unknown} has a value that is not a number. Measure it again.")
    if len(run) < 2:
        raise BadInput(f"A comparison needs at least 2 judged queries, found {len(run)}.")
    return tuple(sorted(run))


class _Block:
    """Pairs over the same queries, as matrices: a pair a row, a query a column."""

    def __init__(
        self,
        queries: tuple[str, ...],
        pairs: list[MeasuredPair],
        groups: Mapping[str, str] | None,
        *,
        has_other_pools: bool,
    ) -> None:
        self.queries, self.pairs = queries, pairs
        places: dict[tuple[int, ...], int] = {}
        pools: dict[str, int] = {}
        self.rankers: list[Runs] = []
        for pair in pairs:
            pool = pools.setdefault(pair.pool, len(pools))
            for runs, lineage in zip(pair[:2], pair.lineages, strict=True):
                if _ids(runs) not in places:
                    places[_ids(runs)] = len(self.rankers)
                    table = np.array([[run[query] for query in queries] for run in runs])
                    self.rankers.append(Runs(table, pool, lineage))
        self.systems = np.array([places[_ids(pair.system)] for pair in pairs])
        self.baselines = np.array([places[_ids(pair.baseline)] for pair in pairs])
        self.values = np.array([ranker.table.mean(axis=0) for ranker in self.rankers])
        self.n_seeds = np.array([ranker.n for ranker in self.rankers])
        self.group_of = self._group_of(groups)
        self.grouping = Grouping.of(len(queries), self.group_of)
        self.differences = self.values[self.systems] - self.values[self.baselines]
        made = Contrasts(
            self.systems,
            self.baselines,
            [pair.margin for pair in pairs],
            [pair.kinship for pair in pairs],
            np.array([np.nan if pair.span is None else pair.span for pair in pairs]),
        )
        self.tested, self.seeds = shown(
            self.rankers, made, self.group_of, has_other_pools=has_other_pools
        )
        self.n_groups = len(queries) if self.group_of is None else int(self.group_of.max()) + 1

    def _group_of(self, groups: Mapping[str, str] | None) -> Places | None:
        if groups is None:
            return None
        without = [query for query in self.queries if query not in groups]
        if without:
            raise BadInput(
                f"{len(without)} of {counted(len(self.queries), 'judged query', 'judged queries')} {of_number(len(without), 'has', 'have')} no group "
                f"(first: {without[0]}). Give every query one."
            )
        names, group_of = np.unique([groups[query] for query in self.queries], return_inverse=True)
        if len(names) < 2:
            raise BadInput("All queries are in one group; a comparison needs at least 2 groups.")
        return group_of

    def comparisons(
        self,
        level: float,
        resampling: Resampling | None,
        told: Advance = untold,
        *,
        is_for_verdicts: bool = False,
    ) -> list[Comparison]:
        """The comparison of every pair."""
        differences = self.tested.difference
        sd = self.differences.std(axis=1, ddof=1)
        low, high = differences.interval(level)
        critical = differences.tail.critical(level / 2)
        p_values = differences.two_sided()
        bootstrap, randomisation = self._resampled(level, resampling, told)
        wilcoxon = [None] * len(self.pairs) if is_for_verdicts else self._wilcoxon()
        n_differing = (np.abs(self.differences) > SAME).sum(axis=1)
        return [
            Comparison(
                n_queries=len(self.queries),
                n_groups=self.n_groups,
                n_seeds=(self.rankers[a].n, self.rankers[b].n),
                system_mean=float(self.values[a].mean()),
                baseline_mean=float(self.values[b].mean()),
                difference=float(differences.mean[at]),
                sd=float(sd[at]) if sd[at] > SAME else 0.0,
                standard_error=float(differences.standard_error[at])
                if differences.has_spread[at]
                else 0.0,
                degrees_of_freedom=float(differences.tail.degrees_of_freedom[at]),
                seed_sd=(self.rankers[a].sd, self.rankers[b].sd),
                interval=Interval(float(low[at]), float(high[at])),
                bootstrap_interval=bootstrap[at],
                effect_size=float(differences.mean[at] / sd[at]) if sd[at] > SAME else None,
                effect_interval=self._effect_interval(
                    at, float(sd[at]), level, float(critical[at])
                ),
                p_value=float(p_values[at]),
                wilcoxon_p=wilcoxon[at],
                randomisation_p=randomisation[at],
                mcnemar_p=self._mcnemar(at),
                margin=pair.margin,
                equivalence_p=_known(pair, self.tested.equivalence[at]),
                non_inferiority_p=_known(pair, self.tested.non_inferiority[at]),
                beyond_margin_p=_known(pair, self.tested.beyond_margin[at]),
                n_differing=int(n_differing[at]),
                is_few=bool(differences.is_few[at]),
                sample=self._sample(at),
            )
            for at, (pair, a, b) in enumerate(
                zip(self.pairs, self.systems, self.baselines, strict=True)
            )
        ]

    def _sample(self, at: int) -> Sample:
        plain, lower, upper = (error.at(slice(at, at + 1)) for error in self.seeds)
        return Sample(
            self.differences[at],
            self.values[self.baselines[at]],
            self.queries,
            self.group_of,
            self.grouping,
            (plain, lower, upper),
            self.pairs[at].margin,
            self.pairs[at].span,
        )

    @property
    def _has_seeds(self) -> Bools:
        return np.asarray((self.n_seeds[self.systems] > 1) | (self.n_seeds[self.baselines] > 1))

    def _resampled(
        self, level: float, resampling: Resampling | None, told: Advance
    ) -> tuple[list[Interval | None], list[float | None]]:
        if resampling is None:
            return [None] * len(self.pairs), [None] * len(self.pairs)
        intervals, p_values = resampling.of_differences(
            self.values,
            self.systems,
            self.baselines,
            group_of=self.group_of,
            level=level,
            told=told,
        )
        seeded = self._has_seeds
        return (
            [
                None if s else Interval(float(low), float(high))
                for s, (low, high) in zip(seeded, intervals, strict=True)
            ],
            [None if s else float(p) for s, p in zip(seeded, p_values, strict=True)],
        )

    def _wilcoxon(self) -> list[float | None]:
        """None where its assumptions do not hold: groups of queries, several seeds."""
        if self.group_of is not None:
            return [None] * len(self.pairs)
        rounded = np.round(self.differences, 12)  # ranks must not rest on rounding
        p_values = np.ones(len(self.pairs))
        # by default, scipy enumerates all sign flips of a few tied differences, which takes seconds a test
        is_tied = np.array([len(np.unique(np.abs([*row, 0.0]))) <= len(row) for row in rounded])
        is_exact = ~is_tied & (len(self.queries) <= EXACT_WILCOXON)
        for places, method in ((is_exact, "exact"), (~is_exact & rounded.any(axis=1), "asymptotic")):  # fmt: skip
            if places.any():
                p_values[places] = stats.wilcoxon(rounded[places], axis=1, method=method).pvalue
        return [None if s else float(p) for s, p in zip(self._has_seeds, p_values, strict=True)]

    def _mcnemar(self, at: int) -> float | None:
        a, b = self.values[self.systems[at]], self.values[self.baselines[at]]
        is_plain = self.group_of is None and not self._has_seeds[at]
        if not is_plain or not np.isin([a, b], (0.0, 1.0)).all():
            return None
        won, lost = int((a > b).sum()), int((a < b).sum())
        return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0

    def _effect_interval(
        self, at: int, sd: float, level: float, critical: float
    ) -> Interval | None:
        """The noncentral t interval; with groups or seeds, that of the mean (without Hall's view) over the sd."""
        if sd <= SAME:
            return None
        differences = self.tested.difference
        mean, standard_error = float(differences.mean[at]), float(differences.standard_error[at])
        if self.group_of is not None or self._has_seeds[at]:
            half = critical * standard_error
            return Interval((mean - half) / sd, (mean + half) / sd)
        n = len(self.queries)
        t = abs(mean) / standard_error
        low, high = (
            float(special.nctdtrinc(n - 1, p, t)) / n**0.5 for p in (1 - level / 2, level / 2)
        )
        return Interval(low, high) if mean >= 0 else Interval(-high, -low)


def _ids(runs: Sequence[Values]) -> tuple[int, ...]:
    return tuple(map(id, runs))


def _known(pair: MeasuredPair, p_value: float) -> float | None:
    return None if pair.margin is None else float(p_value)
