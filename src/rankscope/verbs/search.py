"""Search and re-rank without a study file."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.errors import choose
from rankscope.core.formats import read_run
from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.core.trec import write_run
from rankscope.data.collections import (
    Source,
    StoredDocs,
    judged_topics,
    write_docs,
)
from rankscope.models.inputs import notes_on
from rankscope.models.location import Location, downloaded
from rankscope.models.opening import open_bi_encoder, open_ranker
from rankscope.models.processes import ALONE
from rankscope.pipeline.work import embedded
from rankscope.retrieve import bm25, dense, embeddings
from rankscope.retrieve.analyzer import ENGLISH, LANGUAGES
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.store.files import writable, written_whole

Tell = Callable[[str], None]
"""Takes a note on how a model's folder was read."""


def _untold(note: str) -> None:
    """Notes of a caller who asked for none."""


def search(
    model: Location | None,
    source: Source,
    *,
    depth: int,
    out: Path,
    progress: Progress,
    language: str = ENGLISH,
    tell: Tell = _untold,
) -> Run:
    """Rank all docs for the judged queries with a bi-encoder, or BM25 for None; write and return the run.

    `language` is that of BM25's analyzer.
    """
    writable(out)
    choose(LANGUAGES, language, what="language")
    queries = judged_topics(source).queries
    if model is None:
        with TemporaryDirectory() as folder:
            bm25.build(source.docs(), Path(folder), language=language)
            index = bm25.Index.load(Path(folder))
            for note in index.notes:
                progress.note(f"BM25: {note}")
            run = bm25.search(index, queries, depth=depth, progress=progress)
    else:
        encoder = open_bi_encoder(model)
        for note in notes_on(encoder):
            tell(note)
        with TemporaryDirectory() as folder:
            write_docs(source.docs(), Path(folder))
            docs = StoredDocs(Path(folder))
            path = embedded(encoder, docs, Path(folder), processes=ALONE, progress=progress)
            asked = encoder.searchable(encoder.embed_queries([query.text for query in queries]))
            found = dense.nearest(asked, embeddings.opened(path), depth=depth, progress=progress)
            run = dense.run_of(_tag(model), queries, docs.doc_ids, *found)
    _write(out, run)
    return run


def rerank(
    model: Location,
    source: Source,
    run_file: Path,
    *,
    depth: int,
    out: Path,
    progress: Progress,
    tell: Tell = _untold,
) -> Run:
    """Re-order the top of a run with a model; write and return the new run."""
    writable(out)
    queries, run = judged_topics(source).queries, read_run(run_file)
    ranker = open_ranker(downloaded(model))
    for note in notes_on(ranker):
        tell(note)
    ranked = {doc.doc_id for ranking in run.rankings.values() for doc in ranking[:depth]}
    with TemporaryDirectory() as folder:
        write_docs((doc for doc in source.docs() if doc.doc_id in ranked), Path(folder))
        texts = StoredDocs(Path(folder)).texts
        again = reranked(
            ranker,
            queries,
            run,
            texts=texts,
            depth=depth,
            tag=_tag(model),
            progress=progress,
        )
    _write(out, again)
    return again


def _tag(model: Location) -> str:
    """What a model's run is called: its folder's name, or its step's where a study keeps it."""
    path = Path(model.name)
    return path.parent.name if path.name == "model" else path.name


def _write(out: Path, run: Run) -> None:
    """Write a run whole or not at all."""
    with written_whole(out) as aside:
        write_run(aside, run)
