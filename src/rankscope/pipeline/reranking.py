"""A re-ranking in a precision, and what one below float32 changed in it."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from statistics import median, pstdev
from typing import Any

from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Run
from rankscope.core.words import counted
from rankscope.data.collections import Topics
from rankscope.evaluate.measuring import measured
from rankscope.models.fast.precision import narrowed
from rankscope.models.opening import AnyRanker
from rankscope.models.processes import ALONE, Processes
from rankscope.pipeline.plans.rankers import RerankParams
from rankscope.retrieve.bm25_ranker import Bm25Ranker
from rankscope.retrieve.rerank import rerank

SAMPLE = 8
"""Queries that are scored in float32, too."""
MEASURE = "nDCG@10"


def reranking(
    params: RerankParams,
    ranker: AnyRanker | Bm25Ranker,
    topics: Topics,
    run: Run,
    *,
    texts: Callable[[Sequence[str]], Sequence[Any]],
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> tuple[Run, list[str]]:
    """(the re-ranked run, notes on its precision): `rerank` with dense layers computed as `narrowed` says."""
    reranked = partial(rerank, ranker, run=run, texts=texts, depth=params.depth, tag=params.tag)
    if isinstance(ranker, Bm25Ranker):
        return reranked(queries=topics.queries, processes=processes, progress=progress), []
    with narrowed(ranker.model, params.precision):
        again = reranked(queries=topics.queries, processes=processes, progress=progress)
    if params.precision == "float32" or not processes.is_first:
        return again, []
    sample = [query for query in topics.queries if query.query_id in again.rankings][:SAMPLE]
    return again, [_effect(params, again, reranked(queries=sample), topics)]


def _effect(params: RerankParams, run: Run, exact: Run, topics: Topics) -> str:
    """How a run differs from the float32 one, on that one's queries."""
    sampled = Run(run.tag, {query_id: run.rankings[query_id] for query_id in exact.rankings})
    tops = [
        [{doc.doc_id: doc.score for doc in each.rankings[query_id][: params.depth]} for each in (sampled, exact)]
        for query_id in exact.rankings
    ]  # fmt: skip
    gaps = [abs(score - mine[doc_id]) for mine, own in tops for doc_id, score in own.items()]
    scores = [score for _, own in tops for score in own.values()]
    swaps = [
        (mine[a] - mine[b]) * (own[a] - own[b]) < 0
        for mine, own in tops
        for a, b in combinations(own, 2)
    ]
    qrels = [qrel for qrel in topics.qrels if qrel.query_id in exact.rankings]
    means = [measured(each, qrels, [MEASURE]).means()[MEASURE] for each in (sampled, exact)]
    order = f"{sum(swaps) / len(swaps):.2%} of pairs swapped; " if swaps else ""
    return (  # a page shows 200 characters
        f"{params.precision} against float32, {counted(len(tops), 'query', 'queries')}: scores differ by {median(gaps):.2g} (median), "
        f"{max(gaps):.2g} (most; their standard deviation {pstdev(scores):.2g}); {order}{MEASURE} {means[0]:.4f}, "
        f"float32 {means[1]:.4f}"
    )
