"""Nearest-neighbour search with a bi-encoder: exact, in blocks of docs.

Of docs with the same score at the cut, those that come first in the collection are kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch

from rankscope.core.progress import SILENT, Progress
from rankscope.core.records import Doc, Query, Run, ScoredDoc
from rankscope.models.bi_encoder import BiEncoder

DOCS_PER_BLOCK = 2_048


def search(
    model: BiEncoder,
    docs: Iterable[Doc],
    queries: Sequence[Query],
    *,
    depth: int,
    n_docs: int,
    progress: Progress = SILENT,
) -> Run:
    """The run of all queries over all docs; never holds more than one block of embeddings."""
    asked = model.embed_queries([query.text for query in queries])
    best = torch.empty(len(queries), 0, device=asked.device)
    places = torch.empty(len(queries), 0, dtype=torch.int64, device=asked.device)
    doc_ids: list[str] = []
    with progress.task("embed docs", n_docs, "docs") as task:
        for block in _blocks(docs):
            scores = model.similarity(asked, model.embed_docs([doc.text for doc in block]))
            fresh = torch.arange(len(doc_ids), len(doc_ids) + len(block), device=asked.device)
            doc_ids += [doc.doc_id for doc in block]
            candidates = torch.cat([best, scores], dim=1)
            origins = torch.cat([places, fresh.expand(len(queries), -1)], dim=1)
            best, order = candidates.sort(dim=1, descending=True, stable=True)
            best, places = best[:, :depth], origins.gather(1, order[:, :depth])
            task.advance(len(block))
    return Run.of(
        "dense",
        (
            ScoredDoc(query.query_id, doc_ids[place], score)
            for query, row, found in zip(queries, best.tolist(), places.tolist(), strict=True)
            for score, place in zip(row, found, strict=True)
        ),
    )


def _blocks(docs: Iterable[Doc]) -> Iterator[list[Doc]]:
    stream = iter(docs)
    while block := list(islice(stream, DOCS_PER_BLOCK)):
        yield block
