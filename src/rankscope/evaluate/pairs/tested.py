"""The tests of many samples of differences at once: against zero and against their margins.

A sample is a row: the queries' differences of one comparison, or the same with some of them changed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankscope.core.judged.margins import Margin
from rankscope.evaluate.arrays import SAME, Bools, Floats, Places
from rankscope.evaluate.pairs.evidence import Evidence, are_few
from rankscope.evaluate.pairs.tail import Tail, total
from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.evaluate.seeds.seed_error import Runs, SeedError, seed_error, summed


class Tested(NamedTuple):
    """What many samples show: of the difference, and against their margins."""

    difference: Evidence
    equivalence: Floats
    """p-values; 1 without a margin, as below."""
    non_inferiority: Floats
    beyond_margin: Floats


def tested(
    differences: Floats,
    baseline: Floats,
    margins: Sequence[Margin | None],
    seeds: Sequence[SeedError],
    group_of: Places | None,
    spans: Floats,
) -> Tested:
    """Evidence of the differences and against the margins: (samples, queries), a sample a row.

    A relative margin is a share of the baseline's true mean. That the system is above (1 - r) x baseline is
    a paired test of system - (1 - r) x baseline, so the baseline's own error counts.
    """
    few = are_few(_group_means(differences, group_of), spans)
    plain = _evidence(differences, seeds[0], group_of, spans, few)
    stated = np.array([margin is not None for margin in margins])
    if not stated.any():
        ones = np.ones(len(differences))
        return Tested(plain, ones, ones, ones)
    share, shift = _shares_and_shifts(margins)
    moved = share[:, None] * baseline
    lower, upper = plain, plain.turned
    if share.any():
        # nearly all queries may be alike in the differences, or in what a share of the baseline makes of them
        fews = [few | are_few(_group_means(moved + sign * differences, group_of), spans) for sign in (1, -1)]  # fmt: skip
        lower = _evidence(differences + moved, seeds[1], group_of, spans, fews[0])
        upper = _evidence(moved - differences, seeds[2], group_of, spans * (1 + share), fews[1])
    not_worse, not_better = lower.above(-shift), upper.above(-shift)
    larger, smaller = upper.turned.above(shift), lower.turned.above(shift)
    # the direction is chosen by the data, so it counts twice
    beyond = np.minimum(1.0, 2 * np.where(plain.mean >= 0, larger, smaller))
    found = (np.maximum(not_worse, not_better), not_worse, beyond)
    return Tested(plain, *(np.where(stated, p, 1.0) for p in found))


def _shares_and_shifts(margins: Sequence[Margin | None]) -> tuple[Floats, Floats]:
    """Relative and absolute margins, 0 where it is the other or none."""
    value = np.array([0.0 if margin is None else margin.value for margin in margins])
    relative = np.array([margin is not None and margin.is_relative for margin in margins])
    return np.where(relative, value, 0.0), np.where(relative, 0.0, value)


def _evidence(
    differences: Floats, seeds: SeedError, group_of: Places | None, spans: Floats, few: Bools
) -> Evidence:
    """Of the means of these differences, a row each; seeds: what they add to the error."""
    n = differences.shape[1]
    mean = differences.mean(axis=1)
    by_group = summed(differences - mean[:, None], group_of)
    grouping = Grouping.of(n, group_of)
    of_queries = (by_group**2 / (1 - grouping.shares)).sum(axis=1) / n**2
    variance = total(of_queries, seeds.variance, seeds.spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a product: numpy's third power of an array takes a hundred times as long
        skewness = (by_group**2 * by_group).sum(axis=1) / n**3 / variance**1.5
    error = np.sqrt(variance)
    return Evidence(
        mean=mean,
        standard_error=error,
        tail=Tail.of(of_queries, grouping.degrees_of_freedom, seeds),
        skewness=np.where(error > SAME, skewness, 0.0),
        n=len(grouping.shares),
        is_few=few,
        worst=spans,
    )


class Grouping(NamedTuple):
    """How queries lie in groups that may depend on each other; each alone, where there are none."""

    shares: Floats
    """(groups,): of all queries."""
    degrees_of_freedom: float
    """Of the variance by groups; one less than their number where they are of one size."""

    @classmethod
    def of(cls, n_queries: int, group_of: Places | None) -> "Grouping":
        """The bias-reduced variance (CR2) of a mean and its degrees of freedom (Bell & McCaffrey 2002).

        A group that holds most of the queries decides the mean, and its own sum says little of how it varies.
        """
        if group_of is None:
            return cls(np.full(n_queries, 1 / n_queries), n_queries - 1.0)
        sizes = np.bincount(group_of).astype(float)
        shares = sizes / n_queries
        between = sizes * shares / (1 - shares)
        squares = (sizes**2).sum() + between.sum() ** 2 - (between**2).sum()
        return cls(shares, float(n_queries**2 / squares))


def _group_means(differences: Floats, group_of: Places | None) -> Floats:
    if group_of is None:
        return differences
    return summed(differences, group_of) / summed(np.ones_like(differences[:1]), group_of)


class Contrasts(NamedTuple):
    """Which rankers are compared with which, and how: the k-th entries of all fields belong to one pair."""

    systems: Places
    baselines: Places
    margins: Sequence[Margin | None]
    kinships: Sequence[Kinship]
    spans: Floats
    """The measures' ranges; not-a-number without bounds."""


def shown(
    rankers: Sequence[Runs],
    contrasts: Contrasts,
    group_of: Places | None,
    *,
    has_other_pools: bool = False,
) -> tuple[Tested, tuple[SeedError, SeedError, SeedError]]:
    """What all pairs show, and the seeds' part of each one's errors.

    rankers: values over the same queries, in the same order. has_other_pools: as for `seed_error`. The seeds' parts
    are those of the differences, and of what is tested against a margin from below and from above.
    """
    values = np.array([ranker.table.mean(axis=0) for ranker in rankers])
    share, _ = _shares_and_shifts(contrasts.margins)

    def of_seeds(weights: Floats) -> SeedError:
        if max(ranker.n for ranker in rankers) == 1:
            return SeedError.none(len(weights))
        return seed_error(
            rankers,
            contrasts.systems,
            contrasts.baselines,
            contrasts.kinships,
            weights,
            group_of,
            has_other_pools=has_other_pools,
        )

    plain = of_seeds(np.ones(len(share)))
    seeds = (plain, of_seeds(1 - share), of_seeds(1 + share)) if share.any() else (plain,) * 3
    baseline = values[contrasts.baselines]
    differences = values[contrasts.systems] - baseline
    return tested(differences, baseline, contrasts.margins, seeds, group_of, contrasts.spans), seeds
