"""A report on a teacher before a ranker learns from it: counts, list lengths, position bias.

Position bias is how far a teacher's order follows the order in which the docs were shown to it, which is not
for the teacher to follow. Two simple measures:

* Kendall's tau-b between the two orders of the docs they share, averaged over queries: 1 is the order shown,
  0 no relation. Tau is not bias by itself: a good first stage has put the relevant docs on top already.
* The share of the teacher's first docs that come from each quarter of the list shown. Beside it stand the share
  to be expected if the place told nothing (the quarters' sizes) and, with judgements, the share of the relevant
  docs in each quarter: what a teacher without bias would follow. What exceeds that is bias.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.data.teachers import Teacher

N_QUARTERS = 4

N_TAUS = 5000
"""Of more queries, so many spread evenly over the file give the mean of tau; it takes a millisecond each."""


@dataclass(frozen=True)
class PositionBias:
    """How far a teacher's order follows the order in which the docs were shown to it."""

    n_queries: int
    kendall_tau: float | None
    """None where no query has two docs in common, or the scores of all are tied."""
    tops_by_quarter: tuple[float, ...]
    """Share of the teacher's first docs from each quarter of the list shown."""
    expected_by_quarter: tuple[float, ...]
    """The share to be expected if the place had no influence."""
    relevant_by_quarter: tuple[float, ...] | None
    """Share of the relevant docs in each quarter."""


def summary(teacher: Teacher) -> dict[str, Any]:
    """Plain counts of one teacher."""
    lengths = [len(ranking) for ranking in teacher.run.rankings.values()]
    counts: dict[str, Any] = {
        "teacher": teacher.kind,
        "n_lists": len(lengths),
        "list_lengths": {
            "shortest": min(lengths),
            "median": median(lengths),
            "longest": max(lengths),
        },
        "scores": teacher.scores,
        "tied_share": teacher.run.tied_share(),
    }
    if teacher.n_answers is not None:
        counts["n_answers"] = teacher.n_answers
        counts["n_repaired_answers"] = teacher.n_repaired
        counts["repairs"] = dict(teacher.repairs)
        counts["malformed"] = dict(teacher.malformed)
    counts["dropped_lists"] = dict(teacher.dropped)
    if teacher.dropped_docs:
        counts["dropped_docs"] = dict(teacher.dropped_docs)
    if teacher.asked:
        counts["asked"] = dict(teacher.asked)
    if teacher.notes:
        counts["notes"] = list(teacher.notes)
    return counts


def position_bias(
    teacher: Run, shown: Mapping[str, Sequence[str]], qrels: Iterable[Qrel] | None = None
) -> PositionBias | None:
    """The teacher's position bias over the queries whose docs were shown; None where there are none."""
    relevant: dict[str, set[str]] = {}
    for qrel in qrels or ():
        if qrel.relevance > 0:
            relevant.setdefault(qrel.query_id, set()).add(qrel.doc_id)
    taus: list[float] = []
    tops: list[list[float]] = []
    expected: list[list[float]] = []
    judged: list[list[float]] = []
    stride = math.ceil(len(teacher.rankings) / N_TAUS)
    for number, (query_id, ranking) in enumerate(teacher.rankings.items()):
        places = _places(ranking, shown.get(query_id, ()))
        both = [doc for doc in ranking if doc.doc_id in places]
        if not both:
            continue
        first = [places[doc.doc_id] for doc in both if doc.score == both[0].score]
        tops.append(_shares(first, len(places)))
        expected.append(_shares(range(len(places)), len(places)))
        known = [places[doc] for doc in relevant.get(query_id, ()) if doc in places]
        judged += [_shares(known, len(places))] if known else []
        if number % stride:
            continue
        taus += _tau([-places[doc.doc_id] for doc in both], [doc.score for doc in both])
    if not tops:
        return None
    return PositionBias(
        n_queries=len(tops),
        kendall_tau=fmean(taus) if taus else None,
        tops_by_quarter=_means(tops),
        expected_by_quarter=_means(expected),
        relevant_by_quarter=_means(judged) if judged else None,
    )


def _places(ranking: Sequence[ScoredDoc], shown: Sequence[str]) -> dict[str, int]:
    """The place of each doc among those shown, down to the last one that the teacher ranks."""
    ranked = {doc.doc_id for doc in ranking}
    last = max((n for n, doc_id in enumerate(shown) if doc_id in ranked), default=-1)
    return {doc_id: n for n, doc_id in enumerate(shown[: last + 1])}


def _shares(places: Sequence[int], n_docs: int) -> list[float]:
    """The share of the places in each quarter of n docs."""
    counts = [0.0] * N_QUARTERS
    for place in places:
        counts[place * N_QUARTERS // n_docs] += 1 / len(places)
    return counts


def _tau(shown: Sequence[float], scores: Sequence[float]) -> list[float]:
    """Kendall's tau-b, or nothing where one of the two orders is no order."""
    if len(set(scores)) < 2:
        return []
    from scipy.stats import kendalltau

    return [float(kendalltau(shown, scores).statistic)]


def _means(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(fmean(column) for column in zip(*rows, strict=True))
