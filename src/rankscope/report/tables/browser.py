"""The data of the page's query browser: each system's value and top docs for each query.

It is bounded, since the page carries it: at most `MAX_QUERIES` queries over all places, `MAX_SYSTEMS` systems and `N_DOCS`
docs of each ranking.
"""

from collections.abc import Sequence
from typing import Any

from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.evaluation import SystemResult
from rankscope.report.stored import StoredResults, place_name
from rankscope.report.wording.numbers import clipped, n_seeds

MAX_QUERIES = 300
"""Of more, evenly spaced ones are shown, in the order of their ids."""
MAX_SYSTEMS = 10
N_DOCS = 5
N_LETTERS = 200
"""Of a doc's text."""


def browser(results: StoredResults) -> dict[str, Any]:
    """What the browser reads: docs once, and by place the systems and queries.

    A query has for each system its value of the first measure (of several seeds the mean) and its top docs (the first seed's),
    each by its place among all docs and its grade (None where nobody judged it).
    """
    evaluation = results.evaluation
    docs: dict[tuple[str, str], int] = {}
    each = max(1, MAX_QUERIES // max(1, len(evaluation.places)))
    places = [_place(place, results, docs, each) for place in evaluation.places]
    return {
        "measure": evaluation.headline,
        "docs": [[doc_id, text] for doc_id, text in docs],
        "places": places,
    }


def _place(
    place: Place, results: StoredResults, docs: dict[tuple[str, str], int], n_queries: int
) -> dict[str, Any]:
    shown = list(results.evaluation.at(place))
    values = [results.per_query[result.run][results.evaluation.headline] for result in shown]
    query_ids = sorted(set[str]().union(*values))
    shown, values = shown[:MAX_SYSTEMS], values[:MAX_SYSTEMS]
    texts = results.queries.get(place.collection, {})
    return {
        "name": place_name(place, results.evaluation),
        "systems": [result.system for result in shown],
        "seeds": [_seeds(result) for result in shown],
        "n_systems": sum(1 for _ in results.evaluation.at(place)),
        "n_queries": len(query_ids),
        "queries": [
            {
                "id": query_id,
                "text": texts.get(query_id, "") or query_id,
                "values": [of_system.get(query_id) for of_system in values],
                "tops": [_top(result, query_id, results, docs) for result in shown],
            }
            for query_id in _spaced(query_ids, n_queries)
        ],
    }


def _seeds(result: SystemResult) -> str:
    """What a system's value and ranking are, where it has several seeds; else empty."""
    if not result.runs:
        return ""
    return f"mean of {n_seeds(len(result.runs))}; the ranking is that of {result.runs[0].name}"


def _top(
    result: SystemResult,
    query_id: str,
    results: StoredResults,
    docs: dict[tuple[str, str], int],
) -> list[list[int | None]]:
    ranking = results.rankings(result.run, query_id, N_DOCS)
    return [
        [docs.setdefault((doc.doc_id, clipped(doc.text, N_LETTERS)), len(docs)), doc.relevance]
        for doc in ranking
    ]


def _spaced(query_ids: Sequence[str], n: int) -> list[str]:
    """At most n of them, evenly spaced, the first and the last among them."""
    if len(query_ids) <= n:
        return list(query_ids)
    last = len(query_ids) - 1
    return [query_ids[round(place * last / max(1, n - 1))] for place in range(n)]
