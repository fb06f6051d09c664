"""A run compared with the run it reproduces, and a mean compared with a published number.

The measures of reproducibility are those of Breuer et al. (SIGIR 2020) and of their tool repro_eval. They compare
the order of docs (Kendall's tau union, rank-biased overlap), the values per query (root mean square error) and the
effect over a baseline (effect ratio, delta relative improvement).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from scipy import stats

from rankscope.core.errors import BadInput
from rankscope.core.judged.margins import Margin
from rankscope.core.records import Run
from rankscope.evaluate.arrays import SAME, Floats, Values

RBO_PERSISTENCE = 0.8


@dataclass(frozen=True)
class OrderAgreement:
    """How far two runs rank alike, as means over the queries that both rank."""

    n_queries: int
    kendall_tau_union: float
    """As published; the function of that name says what is wrong with it."""
    kendall_tau: float
    """Over the docs of both runs; a doc that one run leaves out stands below its last."""
    rank_biased_overlap: float
    """To the depth, as `rank_biased_overlap_to_depth` computes it."""
    overlap: float
    """The share of docs in common at the depth."""
    depth: int


@dataclass(frozen=True)
class ValueAgreement:
    """How far the values of two runs agree, query by query."""

    n_queries: int
    mean: float
    original_mean: float
    root_mean_square_error: float
    p_value: float
    """Two-sided paired t-test; a large p-value does not show that the runs are the same."""


@dataclass(frozen=True)
class EffectAgreement:
    """How the gain over a baseline compares with the original's gain."""

    effect_ratio: float
    """Mean gain over the original's mean gain: 1 is perfect, 0 none of it, below 0 a loss."""
    delta_relative_improvement: float
    """The original's relative gain minus this one's: 0 is perfect."""


@dataclass(frozen=True)
class SeedSpread:
    """How far means vary with the training seed alone, from several seeds' runs over the same queries."""

    means: tuple[float, ...]
    interval: tuple[float, float]
    """A t interval of the mean over all seeds: for a published mean that is over many seeds."""
    one_run_interval: tuple[float, float]
    """A t prediction interval: for a published mean of one run, with a seed of its own."""


@dataclass(frozen=True)
class PublishedNumber:
    """A published mean compared with ours over the same queries."""

    published: float
    written: str
    """The published mean as it was written."""
    mean: float
    """Our mean, over seeds where there are several."""
    half_unit: float
    """Half a unit of the last published digit, the largest error of rounding."""
    margin: float | None = None
    """The difference that matters, in units of the measure."""
    seeds: SeedSpread | None = None
    """None with one run, which does not show how far seeds vary."""

    @property
    def difference(self) -> float:
        """Ours minus the published mean."""
        return self.mean - self.published

    @property
    def is_same(self) -> bool:
        """Whether ours, rounded to the published digits, may be the published mean."""
        return abs(self.difference) <= self.half_unit + SAME

    @property
    def times_margin(self) -> float | None:
        """The difference as a multiple of the margin; None without a margin."""
        return None if self.margin is None else abs(self.difference) / self.margin

    def is_inside(self, interval: tuple[float, float]) -> bool:
        """Whether the published mean, before it was rounded, may lie in an interval."""
        low, high = interval
        return low - self.half_unit <= self.published <= high + self.half_unit


def order_agreement(
    run: Run, original: Run, *, depth: int = 100, persistence: float = RBO_PERSISTENCE
) -> OrderAgreement:
    """Kendall's tau union, RBO and overlap of the top `depth`, over the queries both runs rank."""
    shared = sorted(
        query_id
        for query_id, ranking in run.rankings.items()
        if ranking and original.rankings.get(query_id)
    )
    if not shared:
        raise BadInput(
            f"The runs {run.tag} and {original.tag} rank no query in common. Give runs over one set."
        )
    pairs = [
        tuple(
            [doc.doc_id for doc in ranked.rankings[query_id][:depth]] for ranked in (run, original)
        )
        for query_id in shared
    ]
    return OrderAgreement(
        n_queries=len(shared),
        kendall_tau_union=float(np.mean([kendall_tau_union(a, b) for a, b in pairs])),
        kendall_tau=float(np.mean([kendall_tau(a, b) for a, b in pairs])),
        rank_biased_overlap=float(
            np.mean(
                [
                    rank_biased_overlap_to_depth(a, b, depth, persistence=persistence)
                    for a, b in pairs
                ]
            )
        ),
        overlap=float(np.mean([len({*a} & {*b}) / max(len(a), len(b)) for a, b in pairs])),
        depth=depth,
    )


def kendall_tau_union(ranking: Sequence[str], original: Sequence[str]) -> float:
    """Kendall's tau union as repro_eval computes it (Breuer et al. 2020), to compare with its numbers.

    Each doc becomes its place in the sorted union of both, and the two lists of places are correlated rank
    by rank (up to the shorter ranking's end). So it depends on how ids sort: `kendall_tau` does not.
    """
    places = {doc: place for place, doc in enumerate(sorted({*ranking, *original}))}
    length = min(len(ranking), len(original))
    return _tau(
        [places[doc] for doc in ranking[:length]], [places[doc] for doc in original[:length]]
    )


def kendall_tau(ranking: Sequence[str], original: Sequence[str]) -> float:
    """Kendall's tau over the docs of both rankings.

    Docs that one ranking leaves out follow its last doc, in the order of the other ranking.
    """
    places = []
    for mine, other in ((ranking, original), (original, ranking)):
        known = set(mine)
        whole = [*mine, *(doc for doc in other if doc not in known)]
        places.append({doc: place for place, doc in enumerate(whole)})
    union = sorted(places[0])
    return _tau(*([place[doc] for doc in union] for place in places))


def _tau(a: list[int], b: list[int]) -> float:
    """Kendall's tau; for fewer than two docs, 1 if they are the same and 0 if not."""
    return float(stats.kendalltau(a, b).statistic) if len(a) > 1 else float(a == b)


def rank_biased_overlap_to_depth(
    ranking: Sequence[str],
    original: Sequence[str],
    depth: int,
    *,
    persistence: float = RBO_PERSISTENCE,
) -> float:
    """RBO to a depth, divided by its highest possible value there (Webber et al. 2010; as in repro_eval).

    The depth is at most that of the longer ranking: behind both ends there is nothing to agree on.
    (`explain.changes.extrapolated_rank_biased_overlap` is not cut: with a persistence of 0.8, `ab` and `ba` have
    0.44 here and 0.80 there.)
    """
    seen: tuple[set[str], set[str]] = (set(), set())
    score, highest = 0.0, 0.0
    for rank in range(1, min(depth, max(len(ranking), len(original))) + 1):
        for docs, docs_seen in zip((ranking, original), seen, strict=True):
            docs_seen.update(docs[rank - 1 : rank])
        weight = persistence ** (rank - 1)
        score += weight * len(seen[0] & seen[1]) / rank
        highest += weight
    return score / highest


def value_agreement(values: Values, original: Values) -> ValueAgreement:
    """Root mean square error and t-test of two runs' values over the same queries."""
    a, b = _aligned(values, original)
    p = 1.0 if np.allclose(a, b, rtol=0, atol=1e-12) else float(stats.ttest_rel(a, b).pvalue)
    return ValueAgreement(
        len(a), float(a.mean()), float(b.mean()), float(np.sqrt(((a - b) ** 2).mean())), p
    )


def effect_agreement(
    values: Values, baseline: Values, original: Values, original_baseline: Values
) -> EffectAgreement:
    """Effect ratio and delta relative improvement. Raises BadInput for a gain or a baseline's mean of 0."""
    ours, base = _aligned(values, baseline)
    theirs, their_base = _aligned(original, original_baseline)
    gain = float((theirs - their_base).mean())
    if gain == 0 or base.mean() == 0 or their_base.mean() == 0:
        raise BadInput(
            "The original gains nothing over its baseline, or a baseline's mean is 0: there is no effect "
            "to reproduce. Compare the values instead."
        )
    return EffectAgreement(
        effect_ratio=float((ours - base).mean()) / gain,
        delta_relative_improvement=gain / float(their_base.mean())
        - float((ours - base).mean()) / float(base.mean()),
    )


def published_number(
    runs: Sequence[Values],
    published: Decimal | float,
    *,
    margin: Margin | None = None,
    significance_level: float = 0.05,
) -> PublishedNumber:
    """A published mean compared with ours over the same queries. runs: values by query, one run a training seed.

    A Decimal counts as rounded to its digits ("0.720" has three), a float as exact. The spread over queries gives no
    tolerance here, because the queries are the same. A relative margin is a share of the published mean. Raises
    BadInput where there is no query, or where the published mean of a relative margin is 0.
    """
    if not all(runs):
        raise BadInput("A mean needs at least 1 query.")
    means = [float(np.mean([values[query] for query in sorted(values)])) for values in runs]
    whole = abs(float(published)) if margin is not None and margin.is_relative else 1.0
    if whole == 0:
        raise BadInput(
            "A share of a published mean of 0 is no margin. Give a difference, such as 0.02."
        )
    exponent = published.as_tuple().exponent if isinstance(published, Decimal) else None
    return PublishedNumber(
        float(published),
        str(published),
        float(np.mean(means)),
        half_unit=0.0 if exponent is None else 10.0 ** int(exponent) / 2,
        margin=None if margin is None else margin.value * whole,
        seeds=_seed_spread(means, significance_level) if len(means) > 1 else None,
    )


def _seed_spread(means: Sequence[float], level: float) -> SeedSpread:
    n, mean, sd = len(means), float(np.mean(means)), float(np.std(means, ddof=1))
    t = float(stats.t.ppf(1 - level / 2, n - 1))
    of_mean, of_one = t * sd * n**-0.5, t * sd * (1 + 1 / n) ** 0.5
    return SeedSpread(
        tuple(means), (mean - of_mean, mean + of_mean), (mean - of_one, mean + of_one)
    )


def _aligned(values: Values, other: Values) -> tuple[Floats, Floats]:
    if values.keys() != other.keys() or len(values) < 2:
        raise BadInput(
            "Agreement of two runs needs the same queries in both, at least 2 of them. Measure both with the "
            "same qrels."
        )
    queries = sorted(values)
    return np.array([values[q] for q in queries]), np.array([other[q] for q in queries])
