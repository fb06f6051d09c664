"""Two rankers on the same queries: difference, interval, effect size, p-values.

Pairs by query_id, never by position. The tests and distributions are scipy's and statsmodels'. Ours
is what they leave open: a standard error that may count more than the spread over queries, the same
resamples for many comparisons at once (`resampling`), and a difference that is the same for every query,
which has no spread to test against.

**The standard error** of a mean difference has up to three parts, added up: the spread of the
queries' differences (of groups of queries, where queries repeat: cluster-robust, as statsmodels'
`cov_type="cluster"`), and for a ranker of several training seeds the spread of its seeds' means. Its
degrees of freedom are Satterthwaite's. One run a ranker and no groups is the paired t-test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar

from rankscope.core.errors import BadInput
from rankscope.evaluate.resampling import Resampling

SAME = 1e-12
"""The spread under which differences are equal up to rounding."""

Values = Mapping[str, float]
Floats = npt.NDArray[np.float64]


class Margin(NamedTuple):
    """The difference below which two rankers count as equivalent."""

    value: float
    is_relative: bool = False
    """Whether it is a share of the baseline's mean."""

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.is_relative else f"{self.value:g}"


class Pair(NamedTuple):
    """Two rankers to compare: each one's per-query values, a mapping for each training seed."""

    system: Sequence[Values]
    baseline: Sequence[Values]
    margin: Margin | None = None


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
    """Of the queries' differences."""
    standard_error: float
    degrees_of_freedom: float
    seed_sd: tuple[float | None, float | None]
    """Of the seeds' means: system's, baseline's; None with one seed."""
    interval: tuple[float, float]
    """A t interval of the mean difference."""
    bootstrap_interval: tuple[float, float] | None
    """BCa over queries (or groups); None with several seeds, whose spread it would leave out."""
    effect_size: float | None
    """Mean difference over the standard deviation of the differences; None without spread."""
    effect_interval: tuple[float, float] | None
    p_value: float
    """Two-sided paired t-test."""
    wilcoxon_p: float | None
    randomisation_p: float | None
    mcnemar_p: float | None
    """Exact; for measures that are 0 or 1 for every query."""
    margin: Margin | None
    equivalence_p: float | None
    """TOST: the larger p of two one-sided t-tests against the margin; None without one."""
    non_inferiority_p: float | None
    """One-sided: that the system is not worse by the margin."""

    @property
    def absolute_margin(self) -> float | None:
        """The margin in units of the measure."""
        if self.margin is None:
            return None
        return self.margin.value * (self.baseline_mean if self.margin.is_relative else 1.0)


def compared(
    pairs: Sequence[Pair],
    *,
    significance_level: float = 0.05,
    groups: Mapping[str, str] | None = None,
    resampling: Resampling | None = None,
) -> list[Comparison]:
    """The comparison of every pair, in the same order.

    `groups` maps a query_id to the group of queries it belongs to. Without `resampling` there is
    neither a bootstrap interval nor a randomisation test. Raises BadInput if the two rankers of a
    pair do not cover the same queries, if there are fewer than two queries or groups, or if a query
    has no group.
    """
    found: list[Comparison] = []
    for queries, of_queries in groupby(pairs, _queries):
        block = _Block(queries, list(of_queries), groups)
        found += block.comparisons(significance_level, resampling)
    return found


def _queries(pair: Pair) -> tuple[str, ...]:
    first, *others = (*pair.system, *pair.baseline)
    for other in others:
        if other.keys() != first.keys():
            only = sorted(other.keys() ^ first.keys())
            raise BadInput(
                f"Two runs can be compared over the same queries only: {len(only)} stand in one of "
                f"them (first: {only[0]}). Measure both with the same qrels."
            )
    if len(first) < 2:
        raise BadInput(f"A comparison needs at least 2 judged queries, found {len(first)}.")
    return tuple(sorted(first))


class _Seeds(NamedTuple):
    """One ranker's values: their mean over seeds, a query a column, and the seeds' own spread."""

    values: Floats
    variance: float
    """Of the mean over seeds, as far as it comes from the seeds; 0 with one seed."""
    n: int

    @classmethod
    def of(cls, runs: Sequence[Values], queries: tuple[str, ...]) -> "_Seeds":
        table = np.array([[run[query] for query in queries] for run in runs])
        n = len(runs)
        variance = float(table.mean(axis=1).var(ddof=1)) / n if n > 1 else 0.0
        return cls(table.mean(axis=0), variance, n)

    @property
    def sd(self) -> float | None:
        return (self.variance * self.n) ** 0.5 if self.n > 1 else None


class _Error(NamedTuple):
    """The standard errors of many mean differences, and their degrees of freedom."""

    mean: Floats
    standard_error: Floats
    degrees_of_freedom: Floats

    @property
    def has_spread(self) -> npt.NDArray[np.bool_]:
        return self.standard_error > SAME

    def two_sided(self) -> Floats:
        """p-values that the true mean is not 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.mean) / self.standard_error
        p = 2 * stats.t.sf(t, self.degrees_of_freedom)
        return np.where(self.has_spread, p, np.abs(self.mean) <= SAME)

    def above(self, bound: Floats) -> Floats:
        """One-sided p-values that the true mean is above the bound."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (self.mean - bound) / self.standard_error
        p = stats.t.sf(t, self.degrees_of_freedom)
        return np.where(self.has_spread, p, np.where(self.mean > bound, 0.0, 1.0))


class _Block:
    """Pairs over the same queries, as matrices: a pair a row, a query a column."""

    def __init__(
        self, queries: tuple[str, ...], pairs: list[Pair], groups: Mapping[str, str] | None
    ) -> None:
        self.queries, self.pairs = queries, pairs
        runs: dict[int, _Seeds] = {}
        for runs_of in (side for pair in pairs for side in (pair.system, pair.baseline)):
            if id(runs_of) not in runs:
                runs[id(runs_of)] = _Seeds.of(runs_of, queries)
        self.rankers = list(runs.values())
        place = {key: at for at, key in enumerate(runs)}
        self.systems = np.array([place[id(pair.system)] for pair in pairs])
        self.baselines = np.array([place[id(pair.baseline)] for pair in pairs])
        self.values = np.array([ranker.values for ranker in self.rankers])
        self.seed_variance = np.array([ranker.variance for ranker in self.rankers])
        self.n_seeds = np.array([ranker.n for ranker in self.rankers])
        self.group_of = self._group_of(groups)
        self.n_groups = len(queries) if self.group_of is None else int(self.group_of.max()) + 1

    def _group_of(self, groups: Mapping[str, str] | None) -> npt.NDArray[np.intp] | None:
        if groups is None:
            return None
        without = [query for query in self.queries if query not in groups]
        if without:
            raise BadInput(
                f"{len(without)} of {len(self.queries)} judged queries have no group "
                f"(first: {without[0]}). Give every query one."
            )
        names, found = np.unique([groups[query] for query in self.queries], return_inverse=True)
        if len(names) < 2:
            raise BadInput("All queries are in one group; a comparison needs at least 2 groups.")
        return found

    @cached_property
    def differences(self) -> Floats:
        return np.asarray(self.values[self.systems] - self.values[self.baselines])

    def error(self, differences: Floats, baseline_weight: Floats | float = 1.0) -> _Error:
        """Of the means of these differences, a row each: system minus `baseline_weight` x baseline."""
        n = len(self.queries)
        mean = differences.mean(axis=1)
        rest = differences - mean[:, None]
        if self.group_of is None:
            by_group = rest
        else:
            by_group = np.zeros((len(differences), self.n_groups))
            np.add.at(by_group.T, self.group_of, rest.T)
        correction = self.n_groups / (self.n_groups - 1)
        parts = np.array(
            [
                correction * (by_group**2).sum(axis=1) / n**2,
                self.seed_variance[self.systems],
                self.seed_variance[self.baselines] * np.asarray(baseline_weight) ** 2,
            ]
        )
        freedom = np.array(
            [
                np.full(len(differences), self.n_groups - 1),
                np.maximum(self.n_seeds[self.systems] - 1, 1),
                np.maximum(self.n_seeds[self.baselines] - 1, 1),
            ]
        )
        variance = parts.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            satterthwaite = variance**2 / (parts**2 / freedom).sum(axis=0)
        only_queries = (parts[1:] == 0).all(axis=0)
        satterthwaite = np.where(only_queries, self.n_groups - 1, satterthwaite)
        return _Error(mean, np.sqrt(variance), satterthwaite)

    def comparisons(self, level: float, resampling: Resampling | None) -> list[Comparison]:
        """Every pair's."""
        error = self.error(self.differences)
        sd = self.differences.std(axis=1, ddof=1)
        half = stats.t.ppf(1 - level / 2, error.degrees_of_freedom) * error.standard_error
        p_values = error.two_sided()
        equivalence, non_inferiority = self._against_margins()
        bootstrap, randomisation = self._resampled(level, resampling)
        wilcoxon = self._wilcoxon()
        return [
            Comparison(
                n_queries=len(self.queries),
                n_groups=self.n_groups,
                n_seeds=(self.rankers[a].n, self.rankers[b].n),
                system_mean=float(self.values[a].mean()),
                baseline_mean=float(self.values[b].mean()),
                difference=float(error.mean[at]),
                sd=float(sd[at]) if sd[at] > SAME else 0.0,
                standard_error=float(error.standard_error[at]) if error.has_spread[at] else 0.0,
                degrees_of_freedom=float(error.degrees_of_freedom[at]),
                seed_sd=(self.rankers[a].sd, self.rankers[b].sd),
                interval=(float(error.mean[at] - half[at]), float(error.mean[at] + half[at])),
                bootstrap_interval=bootstrap[at],
                effect_size=float(error.mean[at] / sd[at]) if sd[at] > SAME else None,
                effect_interval=self._effect_interval(error, sd, at, level),
                p_value=float(p_values[at]),
                wilcoxon_p=wilcoxon[at],
                randomisation_p=randomisation[at],
                mcnemar_p=self._mcnemar(at),
                margin=pair.margin,
                equivalence_p=equivalence[at],
                non_inferiority_p=non_inferiority[at],
            )
            for at, (pair, a, b) in enumerate(
                zip(self.pairs, self.systems, self.baselines, strict=True)
            )
        ]

    def _against_margins(self) -> tuple[list[float | None], list[float | None]]:
        """TOST and its lower half. A relative margin is a share of the baseline's true mean.

        That the system is above (1 - r) x baseline is a paired test of system - (1 - r) x baseline,
        so the baseline's own error counts.
        """
        margins = [pair.margin for pair in self.pairs]
        value = np.array([0.0 if margin is None else margin.value for margin in margins])
        relative = np.array([margin is not None and margin.is_relative for margin in margins])
        share, shift = np.where(relative, value, 0.0), np.where(relative, 0.0, value)
        baseline = self.values[self.baselines]
        lower = self.error(self.differences + share[:, None] * baseline, 1 - share)
        upper = self.error(share[:, None] * baseline - self.differences, 1 + share)
        not_worse, not_better = lower.above(-shift), upper.above(-shift)
        both = np.maximum(not_worse, not_better)
        return _known(both, margins), _known(not_worse, margins)

    @property
    def _has_seeds(self) -> npt.NDArray[np.bool_]:
        return np.asarray((self.n_seeds[self.systems] > 1) | (self.n_seeds[self.baselines] > 1))

    def _resampled(
        self, level: float, resampling: Resampling | None
    ) -> tuple[list[tuple[float, float] | None], list[float | None]]:
        if resampling is None:
            return [None] * len(self.pairs), [None] * len(self.pairs)
        intervals, p_values = resampling.of_differences(
            self.values, self.systems, self.baselines, group_of=self.group_of, level=level
        )
        seeded = self._has_seeds
        return (
            [
                None if s else (float(low), float(high))
                for s, (low, high) in zip(seeded, intervals, strict=True)
            ],
            [None if s else float(p) for s, p in zip(seeded, p_values, strict=True)],
        )

    def _wilcoxon(self) -> list[float | None]:
        """None where its assumptions do not hold: groups of queries, several seeds."""
        if self.group_of is not None:
            return [None] * len(self.pairs)
        moved = (np.abs(self.differences) > SAME).any(axis=1)
        p_values = np.ones(len(self.pairs))
        if moved.any():
            rounded = np.round(self.differences[moved], 12)  # ranks must not rest on rounding
            p_values[moved] = stats.wilcoxon(rounded, axis=1).pvalue
        return [None if s else float(p) for s, p in zip(self._has_seeds, p_values, strict=True)]

    def _mcnemar(self, at: int) -> float | None:
        a, b = self.values[self.systems[at]], self.values[self.baselines[at]]
        is_plain = self.group_of is None and not self._has_seeds[at]
        if not is_plain or not np.isin([a, b], (0.0, 1.0)).all():
            return None
        won, lost = int((a > b).sum()), int((a < b).sum())
        return float(mcnemar([[0, won], [lost, 0]], exact=True).pvalue) if won + lost else 1.0

    def _effect_interval(
        self, error: _Error, sd: Floats, at: int, level: float
    ) -> tuple[float, float] | None:
        """By the noncentral t; where groups or seeds count, the mean's interval over the deviation."""
        if sd[at] <= SAME:
            return None
        mean, standard_error = float(error.mean[at]), float(error.standard_error[at])
        if self.group_of is not None or self._has_seeds[at]:
            half = stats.t.ppf(1 - level / 2, error.degrees_of_freedom[at]) * standard_error
            return ((mean - half) / float(sd[at]), (mean + half) / float(sd[at]))
        n = len(self.queries)
        t = abs(mean) / standard_error
        low, high = (
            float(special.nctdtrinc(n - 1, p, t)) / n**0.5 for p in (1 - level / 2, level / 2)
        )
        return (low, high) if mean >= 0 else (-high, -low)


def _known(p_values: Floats, margins: Sequence[Margin | None]) -> list[float | None]:
    return [
        None if margin is None else float(p) for p, margin in zip(p_values, margins, strict=True)
    ]
