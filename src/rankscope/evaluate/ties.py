"""How much ties in a run's scores matter: its measures under the worst, the best and random orders of tied docs.

A run has one total order here, as in trec_eval; other tools may break ties in another way. Among docs of equal
score, the best order puts higher grades first and unjudged docs last; the worst order is its reverse. The expected
value is the mean over random orders of the tied docs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankscope.core.records import Run, ScoredDoc, as_float32
from rankscope.core.rng import stream
from rankscope.core.words import counted
from rankscope.evaluate.measuring import Measured, Measuring

N_ORDERS = 32
UNJUDGED = -0.5
"""Below grade 0, and above the negative grades of some collections."""

Order = Callable[[str, list[ScoredDoc]], list[ScoredDoc]]
"""(query_id, ranking) to the ranking with its tied docs in another order."""


@dataclass(frozen=True)
class Ties:
    """How much of a run is tied, and its means under other orders of the tied docs."""

    share: float
    """The share of neighbouring docs in the rankings that have equal scores."""
    n_queries: int
    """The number of judged queries with a tie."""
    worst: Mapping[str, float]
    best: Mapping[str, float]
    expected: Mapping[str, float]
    n_orders: int
    """The number of random orders behind `expected`."""
    worst_values: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False)
    """Measure and query to the value, of queries in which the order of tied docs can matter."""
    best_values: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, Any]:
        """All but the values of single queries, as plain values."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if not each.name.endswith("_values")
        }

    def note(self) -> str | None:
        """What other orders of tied docs give; None where no mean is another to four digits."""
        moved = [
            f"{measure} is {low:.4f} to {self.best[measure]:.4f} by their order, {self.expected[measure]:.4f} expected"
            for measure, low in self.worst.items()
            if f"{low:.4f}" != f"{self.best[measure]:.4f}"
        ]
        if not moved:
            return None
        queries = counted(self.n_queries, "query", "queries")
        return f"{100 * self.share:.3g} % of neighbours are tied, in {queries}: {'; '.join(moved)}"


def ties(
    run: Run, measuring: Measuring, measured: Measured, *, seed: int = 0, n_orders: int = N_ORDERS
) -> Ties | None:
    """The ties of a run; None where no judged query has one. `measured` holds the run's values."""
    with_ties = [
        query_id
        for query_id in measuring.query_ids
        if query_id in run.rankings and _is_tied(run.float32_scores(query_id))
    ]
    if not with_ties:
        return None
    tied = {
        query_id: ranking
        for query_id in with_ties
        if _matters(ranking := run.rankings[query_id], measuring.relevance[query_id])
    }
    of_tied = measuring.only(tied)

    def values(reordered: Order) -> Mapping[str, Mapping[str, float]]:
        """Measure and query to the value, of the queries in which ties matter."""
        if not tied:
            return {measure: {} for measure in measuring.measures}
        orders = {query_id: reordered(query_id, ranking) for query_id, ranking in tied.items()}
        return of_tied.of(Run(run.tag, orders)).values

    def means(again: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {
            measure: mean
            + sum(again[measure][query] - measured.values[measure][query] for query in tied)
            / measured.n_queries
            for measure, mean in measured.means().items()
        }

    random = [means(values(_at_random(seed, number))) for number in range(n_orders)]
    worst = values(_by_grade(measuring.relevance, 1))
    best = values(_by_grade(measuring.relevance, -1))
    return Ties(
        share=run.tied_share(),
        n_queries=len(with_ties),
        worst=means(worst),
        best=means(best),
        expected={
            name: sum(order[name] for order in random) / n_orders for name in measuring.measures
        },
        n_orders=n_orders,
        worst_values=worst,
        best_values=best,
    )


def _by_grade(relevance: Mapping[str, Mapping[str, int]], sign: int) -> Order:
    """Docs of equal score by grade: the lowest first where the sign is 1, the highest first where it is -1."""

    def reordered(query_id: str, ranking: list[ScoredDoc]) -> list[ScoredDoc]:
        grades = relevance[query_id]
        return [
            doc
            for same in _levels(ranking)
            for doc in sorted(same, key=lambda doc: sign * grades.get(doc.doc_id, UNJUDGED))
        ]

    return reordered


def _at_random(seed: int, number: int) -> Order:
    """Docs of equal score in the random order of that number."""

    def reordered(query_id: str, ranking: list[ScoredDoc]) -> list[ScoredDoc]:
        rng = stream(seed, "ties", query_id, number)
        return [doc for same in _levels(ranking) for doc in rng.sample(same, len(same))]

    return reordered


def _is_tied(scores: NDArray[np.float32]) -> bool:
    """Whether any two of a ranking's scores are equal; such are neighbours."""
    return bool((scores[1:] == scores[:-1]).any())


def _matters(ranking: list[ScoredDoc], grades: Mapping[str, int]) -> bool:
    """Whether docs of equal score differ in grade; where they do not, their order changes no measure."""
    return any(len({grades.get(doc.doc_id) for doc in same}) > 1 for same in _levels(ranking))


def _levels(ranking: list[ScoredDoc]) -> Iterator[list[ScoredDoc]]:
    """Docs of equal score, as float32, best first."""
    keyed = zip(as_float32(doc.score for doc in ranking), ranking, strict=True)
    return ([doc for _, doc in same] for _, same in groupby(keyed, key=lambda pair: pair[0]))
