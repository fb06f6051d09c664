"""Search a collection with a bi-encoder, without a study file."""

from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.data.collections import Source, StoredDocs, judged_topics, write_docs
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.processes import ALONE
from rankscope.pipeline.embedding import embedded
from rankscope.retrieve import dense, embeddings
from rankscope.store.files import temporary_folder


def by_bi_encoder(
    encoder: BiEncoder, source: Source, *, depth: int, tag: str, progress: Progress
) -> Run:
    """The docs nearest to each judged query, as a run."""
    queries = judged_topics(source).queries
    with temporary_folder() as folder:
        write_docs(source.docs(), folder)
        docs = StoredDocs(folder)
        path = embedded(encoder, docs, folder, processes=ALONE, progress=progress)
        vectors = encoder.searchable(encoder.embed_queries([query.text for query in queries]))
        nearest = dense.nearest(vectors, embeddings.opened(path), depth=depth, progress=progress)
        return dense.run_of(tag, queries, docs.doc_ids, *nearest)
