"""Embed a collection's docs with a bi-encoder, for a step or for a search without a study."""

from pathlib import Path

from rankscope.core.progress import Progress
from rankscope.data.collections import StoredDocs
from rankscope.models.bi_encoder import BiEncoder
from rankscope.retrieve import embeddings
from rankscope.store.rows import ProcessGroup


def embedded(
    ranker: BiEncoder,
    docs: StoredDocs,
    folder: Path,
    *,
    dtype: str = "float32",
    processes: ProcessGroup,
    progress: Progress,
) -> Path:
    """The file with the embeddings of all docs; the missing ones are computed now."""
    return embeddings.encode(
        folder,
        lambda texts, told: ranker.searchable(ranker.embed_docs(texts, told)),
        docs.text_at,
        n_docs=len(docs),
        width=ranker.width,
        dtype=dtype,
        processes=processes,
        progress=progress,
    )
