"""Search a collection with a bi-encoder, without a study file."""

from rankscope.core.progress import Progress, Tell
from rankscope.core.records import Run
from rankscope.data.collections import Source, StoredDocs, judged_topics, write_docs
from rankscope.models.inputs import notes_on
from rankscope.models.location import Location
from rankscope.models.opening import open_bi_encoder
from rankscope.models.processes import ALONE
from rankscope.pipeline.embedding import embedded
from rankscope.retrieve import dense, embeddings
from rankscope.store.files import temporary_folder
from rankscope.verbs.models import tag_of


def by_bi_encoder(
    model: Location, source: Source, *, depth: int, progress: Progress, tell: Tell
) -> Run:
    """The docs nearest to each judged query, as a run."""
    queries = judged_topics(source).queries
    encoder = open_bi_encoder(model)
    for note in notes_on(encoder):
        tell(note)
    with temporary_folder() as folder:
        write_docs(source.docs(), folder)
        docs = StoredDocs(folder)
        path = embedded(encoder, docs, folder, processes=ALONE, progress=progress)
        vectors = encoder.searchable(encoder.embed_queries([query.text for query in queries]))
        nearest = dense.nearest(vectors, embeddings.opened(path), depth=depth, progress=progress)
        return dense.run_of(tag_of(model), queries, docs.doc_ids, *nearest)
