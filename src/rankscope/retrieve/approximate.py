"""Nearest-neighbour search with faiss, for collections where comparing with every doc takes too long.

`flat` compares with every doc, as `dense` does; `ivf` looks into some of the cells that docs were
sorted into, `hnsw` walks a graph of neighbours. Both miss docs; `recall` measures how many. An index is
a function of the embeddings and the numbers below, so docs are added by one thread. The package faiss-cpu comes with
`rankscope[ann]`.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rankscope.core.errors import BadInput, choose
from rankscope.retrieve.dense import no_numbers
from rankscope.retrieve.embeddings import Embeddings

CELLS_SEARCHED = 32
"""Cells that `ivf` searches, out of four times the square root of the number of docs."""
ROUNDING = 1e-5
"""The relative difference that sums of products may have by the order of their terms."""
NEIGHBOURS, WALK_BUILDING, WALK_SEARCHING = 32, 200, 256
"""`hnsw`'s edges of a doc, and docs held while the graph is built and searched."""


def nearest(
    queries: Tensor, embeddings: Embeddings, *, depth: int, kind: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(places, scores) as `dense.nearest` gives them; a place of -1 stands for no doc.

    queries: (queries, width), float32; embeddings: (docs, width), which are held in memory.
    """
    faiss = _faiss()
    build = choose(INDEXES, kind, what="index")
    index = build(faiss, embeddings.shape[1], len(embeddings))
    array = np.ascontiguousarray(embeddings, dtype=np.float32)
    query_array = queries.cpu().numpy()
    for what, vectors in (("docs' embeddings", array), ("queries' embeddings", query_array)):
        spoilt = ~np.isfinite(vectors).all(1)
        if spoilt.any():
            raise no_numbers(what, int(spoilt.sum()), len(vectors))
    if not index.is_trained:
        index.train(array)
    with _one_thread(faiss):
        index.add(array)
    scores, places = index.search(query_array, min(depth, len(embeddings)))
    return places.astype(np.int64), scores


def recall(scores: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """The mean share of a query's exact docs that an index returns: (queries, docs) of scores each, best first.

    A doc whose score equals the last exact one's, up to rounding, counts as exact.
    """
    last = exact[:, -1:]
    return float((scores >= last - ROUNDING * np.abs(last)).mean())


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Inside the block faiss uses one thread: with several, a graph's edges depend on who comes first."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise BadInput(
            "An approximate index needs faiss. Install it with pip install 'rankscope[ann]', or use "
            "`index: exact`."
        ) from error
    return faiss


def _flat(faiss: Any, width: int, n_docs: int) -> Any:  # noqa: ARG001
    return faiss.IndexFlatIP(width)


def _ivf(faiss: Any, width: int, n_docs: int) -> Any:
    n_cells = max(1, min(n_docs // 39, round(4 * math.sqrt(n_docs))))  # faiss wants 39 docs a cell
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, n_cells, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(CELLS_SEARCHED, n_cells)
    return index


def _hnsw(faiss: Any, width: int, n_docs: int) -> Any:  # noqa: ARG001
    index = faiss.IndexHNSWFlat(width, NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = WALK_BUILDING, WALK_SEARCHING
    return index


INDEXES: dict[str, Callable[[Any, int, int], Any]] = {"flat": _flat, "ivf": _ivf, "hnsw": _hnsw}
