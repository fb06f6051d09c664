"""Late-interaction first stage (ColBERT models): exact, every doc, in blocks that are not kept.

There is no index: a token's embedding takes some 500 bytes and a doc has dozens, so for large
collections re-rank the top of another first stage instead.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rankscope.core.progress import SILENT, Progress
from rankscope.models.late_interaction import LateInteraction
from rankscope.retrieve.best import Best, candidates
from rankscope.retrieve.dense import require_numbers

DOCS_PER_BLOCK = 1_024


def nearest(
    ranker: LateInteraction,
    queries: Sequence[str],
    text_at: Callable[[int], str],
    *,
    n_docs: int,
    depth: int,
    progress: Progress = SILENT,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(places, scores) of each query's best docs, as `dense.nearest` gives them."""
    query_tokens, best = ranker.embed_queries(queries), Best(len(queries), min(depth, n_docs))
    with progress.task("search", n_docs, "docs") as task, torch.inference_mode():
        for start in range(0, n_docs, DOCS_PER_BLOCK):
            end = min(n_docs, start + DOCS_PER_BLOCK)
            docs = ranker.embed_docs([text_at(place) for place in range(start, end)])
            scores = ranker.similarity(query_tokens, docs)
            require_numbers(scores)
            rows, columns, values = candidates(scores, best.floor, best.depth)
            best.add(rows, columns + start, values)
            task.advance(end - start)
    return best.ranked()
