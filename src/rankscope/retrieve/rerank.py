"""Re-order the top of a run with any ranker."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Query, Run, ScoredDoc, ranked
from rankscope.core.words import of_number
from rankscope.models.processes import ALONE, Processes
from rankscope.models.ranker import Ranker


def reordered(ranking: Sequence[ScoredDoc], scores: Sequence[float]) -> list[ScoredDoc]:
    """The ranking's top `len(scores)` docs by new score, then the rest, in their old order.

    The rest is kept so that R@1000 stays comparable with the first stage; its scores are moved
    below the new ones, because trec_eval orders by score and ignores the rank column.
    """
    depth = len(scores)
    top = ranked(
        doc._replace(score=score) for doc, score in zip(ranking[:depth], scores, strict=True)
    )
    floor = min(scores, default=0.0)
    tail = [doc._replace(score=floor - place) for place, doc in enumerate(ranking[depth:], start=1)]
    return top + tail


def rerank(
    ranker: Ranker,
    queries: Sequence[Query],
    run: Run,
    *,
    texts: Callable[[Sequence[str]], Sequence[Any]],
    depth: int,
    tag: str,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> Run:
    """The run with each query's top `depth` docs re-ordered by the ranker, the tail kept below.

    `texts` gives the docs of ids as this ranker takes them, texts or tokens. A query the run
    leaves out stays out. Several processes share the queries; each gets the whole run.
    """
    ranked_queries = [query for query in queries if run.rankings.get(query.query_id)]
    if not ranked_queries:
        raise BadInput(
            f"The run {run.tag} {of_number(len(queries), 'does not rank the one query', f'ranks none of the {len(queries)} queries')}. "
            "Give a run over the same collection and split."
        )
    mine = processes.share(ranked_queries)
    by_query: dict[str, list[float]] = {}
    with progress.task(f"re-rank {tag}", len(mine), "queries") as task:
        for start in range(0, len(mine), ranker.queries_per_block):
            block = mine[start : start + ranker.queries_per_block]
            tops = [[doc.doc_id for doc in run.rankings[q.query_id][:depth]] for q in block]
            scores = ranker.score_all(
                [(query.text, texts(top)) for query, top in zip(block, tops, strict=True)]
            )
            by_query |= {query.query_id: given for query, given in zip(block, scores, strict=True)}
            task.advance(len(block))
    everywhere = {q: given for part in processes.gathered(by_query) for q, given in part.items()}
    rankings = {}
    for query in ranked_queries:
        ranking, given = run.rankings[query.query_id], everywhere[query.query_id]
        _check(tag, ranking, given)
        rankings[query.query_id] = reordered(ranking, given)
    return Run(tag, rankings)


def _check(tag: str, ranking: Sequence[ScoredDoc], scores: Sequence[float]) -> None:
    for doc, score in zip(ranking, scores, strict=False):
        if not math.isfinite(score):
            raise BadInput(
                f"The ranker {tag} scores doc {doc.doc_id} for query {doc.query_id} {score}, "
                "which is no finite number. Its weights are broken: train it again."
            )
