"""Nearest-neighbour search among stored embeddings: exact, in blocks of docs.

Scores are dot products in float32. Docs with the same score are ranked, and kept at the cut, in the
collection's order.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Query, Run, ScoredDoc
from rankscope.retrieve.best import Best, candidates
from rankscope.retrieve.embeddings import Embeddings

BLOCK, BLOCK_ON_ACCELERATORS = 1_024, 32_768
"""Docs whose scores are computed at once."""
QUERIES_AT_ONCE = 4_096
"""Queries whose scores are computed at once: of more, the candidates would fill the memory."""
_LARGEST = float(np.finfo(np.float32).max)


def nearest(
    queries: Tensor, embeddings: Embeddings, *, depth: int, progress: Progress = SILENT
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(places, scores) of each query's nearest docs, best first: (queries, min(depth, docs)) each.

    queries: (queries, width), float32; embeddings: (docs, width), mapped or not. Threads, as many as torch has, take
    blocks in turn; neither their number nor their order changes a place or a score. Raises BadInput for scores that
    are not finite.
    """
    starts = range(0, max(1, len(queries)), QUERIES_AT_ONCE)
    parts = [
        _Search(queries[at : at + QUERIES_AT_ONCE], embeddings, depth).carried_out(progress)
        for at in starts
    ]
    places, scores = zip(*parts, strict=True)
    return np.concatenate(places), np.concatenate(scores)


class _Search:
    """The search of some queries: threads multiply, and add what reaches a query's floor to the best so far."""

    def __init__(self, queries: Tensor, embeddings: Embeddings, depth: int) -> None:
        self._queries, self._embeddings = queries, embeddings
        self._best, self._lock = Best(len(queries), min(depth, len(embeddings))), Lock()
        is_on_cpu = queries.device.type == "cpu"
        self._block = BLOCK if is_on_cpu else BLOCK_ON_ACCELERATORS
        self._threads_before = torch.get_num_threads()
        self._n_threads = self._threads_before if is_on_cpu else 1
        self._largest = _largest(queries)
        self._buffers: SimpleQueue[Tensor] = SimpleQueue()
        for _ in range(self._n_threads):
            self._buffers.put(queries.new_empty(len(queries), self._block))

    def carried_out(self, progress: Progress) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best of all docs.

        Blocks are taken in a shuffled order, the same each time: if scores rose with the docs' places, each would be a
        candidate.
        """
        n_docs = len(self._embeddings)
        starts = np.arange(0, n_docs, self._block)
        np.random.default_rng(0).shuffle(starts)
        try:
            with (
                progress.task("search", n_docs, "docs") as task,
                ThreadPoolExecutor(self._n_threads, initializer=_alone) as threads,
            ):
                for n in threads.map(self._add, starts.tolist()):
                    task.advance(n)
        finally:
            torch.set_num_threads(
                self._threads_before
            )  # what a thread sets, later threads have too
        return self._best.ranked()

    def _add(self, start: int) -> int:
        """Add the candidates of the block that begins at `start`; its number of docs."""
        block = torch.from_numpy(
            np.array(self._embeddings[start : start + self._block], dtype=np.float32)
        ).to(self._queries.device)
        with self._lent() as buffer, torch.inference_mode():
            is_whole = len(block) == self._block
            scores = buffer if is_whole else buffer.new_empty(len(buffer), len(block))
            torch.mm(self._queries, block.T, out=scores)
            self._require_numbers(scores, block)
            rows, columns, values = candidates(scores, self._best.floor, self._best.depth)
        with self._lock:
            self._best.add(rows, columns + start, values)
        return len(block)

    @contextmanager
    def _lent(self) -> Iterator[Tensor]:
        """A buffer that no other thread has; it comes back after an error, too, since others wait for it."""
        buffer = self._buffers.get()
        try:
            yield buffer
        finally:
            self._buffers.put(buffer)

    def _require_numbers(self, scores: Tensor, block: Tensor) -> None:
        """Raise BadInput for scores that are not finite; where none can be, none is looked at."""
        largest = _largest(block) * self._largest * block.shape[1]
        if not largest < _LARGEST:  # NaN is not
            require_numbers(scores)


def _largest(numbers: Tensor) -> float:
    """The largest magnitude; 0 for no numbers, NaN where one is NaN."""
    if not numbers.numel():
        return 0.0
    lowest, highest = numbers.aminmax()  # half the time of abs().max(): nothing is copied
    return max(-float(lowest), float(highest))


def _alone() -> None:
    torch.set_num_threads(1)


def require_numbers(scores: Tensor) -> None:
    """Raise BadInput for scores, (queries, docs), that are not finite."""
    n = int((~scores.isfinite()).any(1).sum())
    if n:
        raise no_numbers("queries' scores", n, len(scores))


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
