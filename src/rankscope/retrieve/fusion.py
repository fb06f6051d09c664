"""Fuse several runs into one, by ranks or by scores.

A doc that a run leaves out gets nothing from it. A query that any run ranks is ranked.
"""

from collections.abc import Callable, Sequence

from rankscope.core.records import Run, ScoredDoc


def by_rank(runs: Sequence[Run], *, k: int, tag: str) -> Run:
    """Reciprocal rank fusion: the sum of 1 / (k + rank), ranks from 1 (Cormack et al. 2009)."""

    def given(ranking: Sequence[ScoredDoc]) -> list[float]:
        return [1 / (k + rank) for rank in range(1, len(ranking) + 1)]

    return _summed(runs, given, tag)


def by_score(runs: Sequence[Run], *, tag: str) -> Run:
    """The mean of each run's scores, brought to 0..1 for each query (Fox and Shaw 1994, CombSUM).

    A ranking whose scores are all equal gives each of its docs 1.
    """

    def given(ranking: Sequence[ScoredDoc]) -> list[float]:
        high, low = ranking[0].score, ranking[-1].score
        span = high - low
        return [(doc.score - low) / span / len(runs) if span else 1 / len(runs) for doc in ranking]

    return _summed(runs, given, tag)


def _summed(
    runs: Sequence[Run], given: Callable[[Sequence[ScoredDoc]], list[float]], tag: str
) -> Run:
    scores: dict[str, dict[str, float]] = {}
    for run in runs:
        for query_id, ranking in run.rankings.items():
            of_query = scores.setdefault(query_id, {})
            for doc, value in zip(ranking, given(ranking) if ranking else [], strict=True):
                of_query[doc.doc_id] = of_query.get(doc.doc_id, 0.0) + value
    return Run.of(
        tag,
        (
            ScoredDoc(query_id, doc_id, score)
            for query_id, of_query in scores.items()
            for doc_id, score in of_query.items()
        ),
    )
