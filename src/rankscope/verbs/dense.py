"""Search a collection with a bi-encoder, without a study file."""

from pathlib import Path
from statistics import median

import torch
from torch.nn.functional import cosine_similarity

from rankscope.core.progress import Progress, Tell
from rankscope.core.records import Run
from rankscope.core.words import counted
from rankscope.data.collections import Source, StoredDocs, judged_topics, write_docs
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.fast.precision import narrowed
from rankscope.models.processes import ALONE
from rankscope.pipeline.embedding import embedded
from rankscope.retrieve import dense, embeddings
from rankscope.store.files import temporary_folder
from rankscope.verbs.models import untold

SAMPLE = 64
"""Docs that are embedded in float32, too, where a precision below it is asked for."""


def by_bi_encoder(
    encoder: BiEncoder,
    source: Source,
    *,
    depth: int,
    tag: str,
    precision: str = "float32",
    progress: Progress,
    tell: Tell = untold,
) -> Run:
    """The docs nearest to each judged query, as a run."""
    queries = judged_topics(source).queries
    with temporary_folder() as folder:
        write_docs(source.docs(), folder)
        docs = StoredDocs(folder)
        with narrowed(encoder.model, precision):
            path = embedded(encoder, docs, folder, processes=ALONE, progress=progress)
            vectors = encoder.searchable(encoder.embed_queries([query.text for query in queries]))
        if precision != "float32":
            tell(_effect(encoder, docs, path, precision))
        nearest = dense.nearest(vectors, embeddings.opened(path), depth=depth, progress=progress)
        return dense.run_of(tag, queries, docs.doc_ids, *nearest)


def _effect(encoder: BiEncoder, docs: StoredDocs, path: Path, precision: str) -> str:
    """How embeddings differ from those in float32, of some docs."""
    n_docs = min(SAMPLE, len(docs))
    exact = encoder.searchable(encoder.embed_docs([docs.text_at(place) for place in range(n_docs)]))
    narrow = torch.from_numpy(embeddings.opened(path)[:n_docs].copy())
    cosines = cosine_similarity(narrow, exact.cpu()).tolist()
    return (
        f"{precision} against float32, {counted(n_docs, 'doc')}: the cosine of their embeddings is {median(cosines):.5f} "
        f"(median), {min(cosines):.5f} (least)"
    )
