"""How much of a difference's error comes from training seeds: pooled over systems, paired in a lineage.

One or two degrees of freedom a system are far too few for the tail of a t distribution that a correction
over many comparisons uses. So seeds are taken to move all trained systems of a measure alike, unless they
are seen not to:

- **Pooled.** One variance of seeds' means for all systems of the pool, but for a system whose own is beyond
  the 99 % point of F against the others': it keeps its own, and the others are pooled without it. With two
  seeds a system, unequal spreads cannot be detected; docs/verdicts.md gives the cost with three and five.
  A system of one run (BM25, a published run) is in no pool, and its seeds count nothing.
- **Paired in a lineage.** Where the k-th run of both systems comes from one ancestor's k-th run, what they
  share cancels: the error is that of the seeds' differences. What stages add is in a difference once for each stage
  between the two (`Kinship`), so what is pooled, likewise over all pairs, is a difference's variance by stages.
  Systems of one lineage move together, so beside others they count as one.
- **Less the queries' part.** The spread of seeds' means holds some noise of single queries, which the spread
  over queries has counted already; that part is taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats
from scipy.sparse.csgraph import connected_components

from rankscope.evaluate.arrays import SAME, Bools, Floats, Places
from rankscope.evaluate.seeds.kinship import Kinship

OUTLIER = 0.01
"""The chance of F at which a system's spread is taken for unlike the others'."""
ENOUGH = 10
"""Degrees of freedom of the seeds' variance from which Satterthwaite's suit the tail of a family over one pool: its
comparisons share one draw of the variance, so false findings come together. docs/verdicts.md measures it."""

STAGES = {Kinship.ONE_STAGE: 1, Kinship.TWO_STAGES: 2, Kinship.MORE_STAGES: 3}
"""How many stages between two systems count: of more than three, three."""


class SeedError(NamedTuple):
    """The seeds' part of the variance of many mean differences."""

    variance: Floats
    """What it adds to the queries' part."""
    spread: Floats
    """What it was estimated by, before the queries' noise was taken off; 0 without seeds."""
    noise: Floats
    """The queries' noise that was taken off: the variance is the spread less it, if that is above 0."""
    degrees_of_freedom: Floats
    """Of the spread; any number where that is 0."""
    is_averaged: Bools
    """Whether the tail is averaged over what the seeds' variance may be (`pairs.tail`)."""

    @classmethod
    def none(cls, n: int) -> "SeedError":
        """Of n differences of systems of one run."""
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n), np.zeros(n, dtype=bool))

    @classmethod
    def of(
        cls,
        spread: Floats,
        noise: Floats,
        degrees_of_freedom: Floats,
        *,
        is_averaged: Bools | None = None,
    ) -> "SeedError":
        """What is left of the spread without the noise."""
        variance = np.maximum(0.0, spread - noise)
        plain = np.zeros(len(spread), dtype=bool)
        marks = plain if is_averaged is None else is_averaged
        return cls(variance, spread, noise, degrees_of_freedom, marks)

    def at(self, places: Places | slice | int) -> "SeedError":
        """Of some of the differences."""
        return SeedError(
            np.asarray(self.variance[places]),
            np.asarray(self.spread[places]),
            np.asarray(self.noise[places]),
            np.asarray(self.degrees_of_freedom[places]),
            np.asarray(self.is_averaged[places]),
        )

    def repeated(self, n: int) -> "SeedError":
        """Of one difference, n times."""
        return self.at(np.zeros(n, dtype=np.intp))


class Spread(NamedTuple):
    """A variance over seeds for each of several things."""

    variance: Floats
    of_queries: Floats
    """How much of it single queries' noise makes."""
    freedom: Floats
    """0 where there is one run."""


@dataclass(frozen=True)
class Runs:
    """A system's values."""

    table: Floats
    """(seeds, queries)."""
    pool: int
    """Systems of one pool have one variance of seeds."""
    lineage: str = ""
    """Of those of one in a pool, the k-th runs move together; without a name, this one stands alone."""

    @property
    def n(self) -> int:
        """Training seeds."""
        return len(self.table)

    @property
    def sd(self) -> float | None:
        """The standard deviation of the seeds' means; None with one seed."""
        return float(self.table.mean(axis=1).std(ddof=1)) if self.n > 1 else None


def seed_error(
    rankers: Sequence[Runs],
    systems: Places,
    baselines: Places,
    kinships: Sequence[Kinship],
    weights: Floats,
    group_of: Places | None,
    *,
    has_other_pools: bool = False,
) -> SeedError:
    """Of the mean of system - weight x baseline, for each pair.

    systems, baselines: the pairs' places among the rankers. group_of: each query's group. has_other_pools: whether
    the family has comparisons of other measures, collections or first stages, each with a variance of its own.
    """
    kin = np.array([kinship is not Kinship.NONE for kinship in kinships], dtype=bool)
    n = [ranker.n for ranker in rankers]
    pairs = zip(systems.tolist(), baselines.tolist(), strict=True)
    kin &= np.array([n[a] == n[b] > 1 for a, b in pairs], dtype=bool)
    found = _apart(rankers, systems, baselines, kin, weights, group_of)
    places = np.flatnonzero(kin)
    if len(places):
        n_stages = np.array([STAGES[kinships[place]] for place in places.tolist()])
        paired = _paired(
            rankers, systems[places], baselines[places], n_stages, weights[places], group_of
        )
        for part, of_pairs in zip(found, paired, strict=True):
            part[places] = of_pairs
    is_few = has_other_pools | (found.degrees_of_freedom < ENOUGH)
    return found._replace(is_averaged=is_few & (found.spread > 0))


def _apart(
    rankers: Sequence[Runs],
    systems: Places,
    baselines: Places,
    kin: npt.NDArray[np.bool_],
    weights: Floats,
    group_of: Places | None,
) -> SeedError:
    """Of two systems whose runs have nothing in common: the sum of both variances."""
    spread = _spread([ranker.table for ranker in rankers], group_of)
    pools = np.array([ranker.pool for ranker in rankers])
    lineages = _lineages(rankers, systems[kin], baselines[kin])
    found, freedom, is_own = _pooled(spread, pools, lineages)
    n = np.array([ranker.n for ranker in rankers])
    a = found[systems] / n[systems]
    b = found[baselines] / n[baselines] * weights**2
    noise = spread.of_queries / n
    taken_off = noise[systems] + noise[baselines] * weights**2
    # one pooled variance in both parts is one draw of it; a part of its own is another
    is_one = ~is_own[systems] & ~is_own[baselines] & (a > 0) & (b > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (a + b) ** 2 / (
            np.where(a > 0, a**2 / freedom[systems], 0) + np.where(b > 0, b**2 / freedom[baselines], 0)
        )  # fmt: skip
    freedom = np.where(is_one, freedom[systems], np.where(a + b > 0, apart, 1.0))
    return SeedError.of(a + b, taken_off, freedom)


def _paired(
    rankers: Sequence[Runs],
    systems: Places,
    baselines: Places,
    n_stages: Places,
    weights: Floats,
    group_of: Places | None,
) -> SeedError:
    """Of two systems whose k-th runs belong together: the variance of the seeds' differences.

    Every stage between two systems adds as much, so what is pooled is the variance of one.
    """
    tables = [
        rankers[a].table - weight * rankers[b].table
        for a, b, weight in zip(systems.tolist(), baselines.tolist(), weights, strict=True)
    ]
    spread = _spread(tables, group_of)
    n = np.array([len(table) for table in tables])
    pools = np.array([rankers[a].pool for a in systems.tolist()])
    circles = _circles(len(rankers), systems, baselines)
    of_one = Spread(spread.variance / n_stages, spread.of_queries, spread.freedom)
    found, freedom, _ = _pooled(of_one, pools, np.arange(len(tables)), spare=circles)
    found = found * n_stages
    freedom = np.maximum(1.0, freedom)
    return SeedError.of(found / n, spread.of_queries / n, freedom)


def _spread(tables: Sequence[Floats], group_of: Places | None) -> Spread:
    """The variance of the seeds' means, of each (seeds, queries) table.

    Runs that are copies of one another are one run: they say nothing of seeds, and have no degrees of freedom.
    """
    found = np.zeros((3, len(tables)))
    lengths = np.array([len(table) for table in tables])
    for n in np.unique(lengths[lengths > 1]):
        places = np.flatnonzero(lengths == n)
        block = np.stack([tables[place] for place in places.tolist()])  # (systems, seeds, queries)
        means = block.mean(axis=2)
        rest = block - block.mean(axis=1, keepdims=True)
        rest -= rest.mean(axis=2, keepdims=True)
        by_group = summed(rest, group_of)
        n_groups, n_queries = by_group.shape[2], block.shape[2]
        noise = (by_group**2).sum(axis=(1, 2)) / ((n - 1) * (n_groups - 1) / n_groups)
        is_copied = np.ptp(block, axis=1).max(axis=1) <= SAME
        found[:, places] = means.var(axis=1, ddof=1), noise / n_queries**2, (n - 1.0) * ~is_copied
        found[:, places[is_copied]] = 0.0
    return Spread(*found)


def summed(values: Floats, group_of: Places | None) -> Floats:
    """Sums over groups of the last axis' queries; the values themselves without groups."""
    if group_of is None:
        return values
    found = np.zeros((*values.shape[:-1], int(group_of.max()) + 1))
    np.add.at(np.moveaxis(found, -1, 0), group_of, np.moveaxis(values, -1, 0))
    return found


def _pooled(
    spread: Spread, pools: Places, lineages: Places, *, spare: Floats | None = None
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Each one's variance, its degrees of freedom, and whether it is its own.

    lineages: those of one move together and count as one. spare: how many of a pool's follow from others.
    """
    variance, own = spread.variance, spread.freedom
    everyone = own > 0
    total, freedom = _of_pools(variance, own, pools, lineages, everyone, spare)
    alone, others = total - own * variance, freedom - own
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = _sums(pools, own)[pools] - own
        ratio = variance / (alone / weight)
    counted = everyone & (others > 0) & (alone >= 0)
    limit = stats.f.isf(OUTLIER, np.maximum(own, 1), np.maximum(others, 1))
    is_own = counted & (variance > 0) & np.where(np.isnan(ratio), False, ratio > limit)
    kept = everyone & ~is_own
    total, freedom = _of_pools(variance, own, pools, lineages, kept, spare)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = total / _sums(pools, own * kept)[pools]
    found = np.where(is_own, variance, np.where(kept, pooled, 0.0))
    return found, np.where(is_own, own, freedom), is_own


def _of_pools(
    variance: Floats,
    own: Floats,
    pools: Places,
    lineages: Places,
    kept: npt.NDArray[np.bool_],
    spare: Floats | None,
) -> tuple[Floats, Floats]:
    """For each one: its pool's sum of squares, and the degrees of freedom that it is worth."""
    total = _sums(pools, own * variance * kept)
    of_lineage = np.zeros(int(lineages.max()) + 1)
    np.maximum.at(of_lineage, lineages, own * kept)
    pool_of = np.full(len(of_lineage), pools.max(), dtype=np.intp)  # those of no ranker count 0
    pool_of[lineages] = pools
    freedom = _sums(pool_of, of_lineage)
    if spare is not None:
        freedom = np.maximum(freedom - _sums(pools, spare * own * kept), 1.0)
    return total[pools], freedom[pools]


def _sums(places: Places, values: Floats) -> Floats:
    """The sum of the values of each place."""
    return np.bincount(places, values).astype(float)


def _lineages(rankers: Sequence[Runs], systems: Places, baselines: Places) -> Places:
    """The lineage of each ranker: those of one name in a pool, and those that these pairs lead between."""
    first: dict[tuple[int, str], int] = {}
    heads = np.array([
        first.setdefault((ranker.pool, ranker.lineage), at) if ranker.lineage else at
        for at, ranker in enumerate(rankers)
    ])  # fmt: skip
    joined = [np.append(systems, np.arange(len(rankers))), np.append(baselines, heads)]
    return _connected(len(rankers), *joined)


def _connected(n: int, systems: Places, baselines: Places) -> Places:
    """The part of each ranker: those that pairs lead between."""
    edges = sparse.coo_array((np.ones(len(systems)), (systems, baselines)), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.intp)


def _circles(n: int, systems: Places, baselines: Places) -> Floats:
    """What share of each pair follows from others: of A-B, B-C and A-C one in three does.

    Of pairs that lead between v rankers in c parts, v - c are independent.
    """
    lineages = _connected(n, systems, baselines)
    of_pair = lineages[systems]
    n_pairs = np.bincount(of_pair, minlength=n)
    met = np.unique(np.concatenate([systems, baselines]))
    n_rankers = np.bincount(lineages[met], minlength=n)
    independent = np.minimum(n_rankers - 1, n_pairs)
    return np.asarray(1 - independent[of_pair] / n_pairs[of_pair], dtype=float)
