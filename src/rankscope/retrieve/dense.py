"""Nearest-neighbour search among stored embeddings: exact, in blocks of docs.

Scores are dot products in float32. Docs with the same score are ranked, and kept at the cut, in the
collection's order.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Query, Run, ScoredDoc
from rankscope.retrieve.embeddings import Embeddings

SCORES_PER_BLOCK = 1 << 25
"""Scores in memory at once (128 MB), whatever the number of queries and docs."""


QUERIES_AT_ONCE = 4_096
"""With more of them, blocks of docs would be so small that merging takes longer than multiplying."""


def nearest(
    queries: Tensor, embeddings: Embeddings, *, depth: int, progress: Progress = SILENT
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(places, scores) of each query's nearest docs, best first: (queries, min(depth, docs)) each.

    queries: (queries, width), float32; embeddings: (docs, width), mapped or not.
    """
    starts = range(0, max(1, len(queries)), QUERIES_AT_ONCE)
    parts = [
        _nearest(queries[at : at + QUERIES_AT_ONCE], embeddings, depth=depth, progress=progress)
        for at in starts
    ]
    places, scores = zip(*parts, strict=True)
    return np.concatenate(places), np.concatenate(scores)


def _nearest(
    queries: Tensor, embeddings: Embeddings, *, depth: int, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    n_queries, n_docs = len(queries), len(embeddings)
    depth = min(depth, n_docs)
    best = Best(n_queries, depth)
    size = max(1, SCORES_PER_BLOCK // max(1, n_queries))
    with progress.task("search", n_docs, "docs") as task, torch.inference_mode():
        for start in range(0, n_docs, size):
            block = torch.from_numpy(np.array(embeddings[start : start + size], dtype=np.float32))
            best.add(queries @ block.to(queries.device).T, start)
            task.advance(len(block))
    return best.places, best.scores


class Best:
    """The best docs of each query so far."""

    def __init__(self, n_queries: int, depth: int) -> None:
        self._depth = depth
        self.places = np.zeros((n_queries, 0), dtype=np.int64)
        self.scores = np.zeros((n_queries, 0), dtype=np.float32)

    def add(self, scores: Tensor, start: int) -> None:
        """Take in the scores of the next docs, (queries, docs); BadInput for scores that are no numbers."""
        if scores.numel() and not torch.stack(scores.aminmax()).isfinite().all():
            n = int((~scores.isfinite()).any(1).sum())
            raise no_numbers("queries' scores", n, len(scores))
        if self.scores.shape[1] == self._depth:  # a later doc must be better, not equal
            is_candidate = scores > torch.from_numpy(self.scores[:, -1:]).to(scores.device)
        else:
            size = min(self._depth, scores.shape[1])
            is_candidate = scores >= scores.topk(size, dim=1).values[:, -1:]
        rows, columns = torch.nonzero(is_candidate, as_tuple=True)
        if not len(rows):
            return
        values = scores[rows, columns].cpu().numpy()
        rows_, columns_ = rows.cpu().numpy(), columns.cpu().numpy()
        # one row per query, as wide as the most candidates any has
        counts = np.bincount(rows_, minlength=len(self.scores))
        within = np.arange(len(rows_)) - np.repeat(np.cumsum(counts) - counts, counts)
        candidates = np.full((len(self.scores), counts.max()), -np.inf, dtype=np.float32)
        places = np.full(candidates.shape, -1, dtype=np.int64)
        candidates[rows_, within], places[rows_, within] = values, columns_ + start
        self._merge(candidates, places)

    def _merge(self, scores: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        scores = np.concatenate([self.scores, scores], axis=1)
        places = np.concatenate([self.places, places], axis=1)
        # stable, and the earlier docs stand first, so they win ties
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._depth]
        self.scores = np.take_along_axis(scores, order, axis=1)
        self.places = np.take_along_axis(places, order, axis=1)


def no_numbers(what: str, n: int, n_all: int) -> BadInput:
    """The error for NaN, which is neither above nor below a score and leaves docs out without a word, and infinity."""
    return BadInput(
        f"{n} of {n_all} {what} by the model are no finite numbers, so nothing can be ranked by them. Its weights "
        "are broken: give a checkpoint from before, or train it again."
    )


def run_of(
    tag: str,
    queries: Sequence[Query],
    doc_ids: Sequence[str],
    places: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> Run:
    """The nearest docs as a run; places below 0 stand for no doc."""
    return Run.of(
        tag,
        (
            ScoredDoc(query.query_id, doc_ids[place], score)
            for query, row, of_query in zip(queries, scores.tolist(), places.tolist(), strict=True)
            for score, place in zip(row, of_query, strict=True)
            if place >= 0
        ),
    )
