"""Re-order the top of a run with any ranker."""

import math
from collections.abc import Callable, Sequence

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Query, Run, ScoredDoc, ranked
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
    texts: Callable[[Sequence[str]], list[str]],
    depth: int,
    tag: str,
    progress: Progress = SILENT,
) -> Run:
    """The run with each query's top `depth` docs re-ordered by the ranker, the tail kept below.

    `texts` gives the texts of docs by id. A query the run leaves out stays out.
    """
    asked = [query for query in queries if run.rankings.get(query.query_id)]
    if not asked:
        raise BadInput(
            f"The run {run.tag} ranks none of the {len(queries)} queries. "
            "Give a run over the same collection and split."
        )
    rankings = {}
    with progress.task(f"re-rank {tag}", len(asked), "queries") as task:
        for query in asked:
            ranking = run.rankings[query.query_id]
            scores = ranker.score(query.text, texts([doc.doc_id for doc in ranking[:depth]]))
            for doc, score in zip(ranking, scores, strict=False):
                if not math.isfinite(score):
                    raise BadInput(
                        f"The ranker {tag} scores doc {doc.doc_id} for query {query.query_id} {score}, "
                        "which is no finite number. Its weights are broken: train it again."
                    )
            rankings[query.query_id] = reordered(ranking, scores)
            task.advance()
    return Run(tag, rankings)
