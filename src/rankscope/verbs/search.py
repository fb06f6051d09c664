"""Search a collection and re-rank runs, without a study file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.errors import BadInput, choose
from rankscope.core.formats import read_run
from rankscope.core.progress import Progress
from rankscope.core.records import Run
from rankscope.core.result import Result
from rankscope.core.trec import write_run
from rankscope.data.collections import (
    Source,
    StoredDocs,
    judged_topics,
    write_docs,
)
from rankscope.models.inputs import notes_on
from rankscope.models.location import Location, downloaded, located
from rankscope.models.opening import open_bi_encoder, open_ranker
from rankscope.models.processes import ALONE
from rankscope.pipeline.work import embedded
from rankscope.retrieve import bm25, dense, embeddings
from rankscope.retrieve.analyzer import ENGLISH, LANGUAGES
from rankscope.retrieve.rerank import rerank as reranked
from rankscope.store.files import writable, written_whole
from rankscope.verbs.convert import written_line

BM25 = "bm25"
"""The name that stands for BM25 in the place of a model."""

Tell = Callable[[str], None]
"""A function that takes a note on how a model's folder was read."""


def _untold(note: str) -> None:
    """Drop a note, for callers who want none."""


@dataclass(frozen=True)
class SearchSettings:
    """The model that searches, the collection, the depth, and the file of the run."""

    model: str
    """bm25, or a bi-encoder's folder or hub id."""
    source: Source
    out: Path
    depth: int = 100
    language: str | None = None
    """The language of BM25's analyzer; English, if None. Raises BadInput for another model, which has its own tokenizer."""
    revision: str | None = None

    def __post_init__(self) -> None:
        if self.language is not None and self.model != BM25:
            raise BadInput(
                f"--language is for bm25, and {self.model} has its own tokenizer. Drop it."
            )


def search(settings: SearchSettings, progress: Progress, tell: Tell = _untold) -> Result:
    """Rank all docs for the judged queries, and write the run."""
    is_bm25 = settings.model == BM25
    model = None if is_bm25 else located(settings.model, revision=settings.revision)
    writable(settings.out)
    run = (
        _by_bm25(settings, progress)
        if model is None
        else _by_bi_encoder(model, settings, progress, tell)
    )
    notes = _without_docs(settings.source, run)
    _write(settings.out, run)
    return Result(lines=(written_line(settings.out, run),), notes=notes)


def _without_docs(source: Source, run: Run) -> tuple[str, ...]:
    """A note on queries for which nothing was found; BadInput where that is all of them."""
    queries = [query.query_id for query in judged_topics(source).queries]
    without = [query_id for query_id in queries if not run.rankings.get(query_id)]
    if len(without) == len(queries):
        raise BadInput(
            f"None of the {len(queries)} judged queries has a word that a doc has, so the run would be empty. Check "
            "that queries and docs are in one language, and give it by --language."
        )
    if not without:
        return ()
    return (
        f"{len(without)} of {len(queries)} judged queries have no word that a doc has, and no docs in the run "
        f"(first: {without[0]}).",
    )


def _by_bm25(settings: SearchSettings, progress: Progress) -> Run:
    language = settings.language or ENGLISH
    choose(LANGUAGES, language, what="language")
    queries = judged_topics(settings.source).queries
    with TemporaryDirectory() as folder:
        bm25.build(settings.source.docs(), Path(folder), language=language)
        index = bm25.Index.load(Path(folder))
        for note in index.notes:
            progress.note(f"BM25: {note}")
        return bm25.search(index, queries, depth=settings.depth, progress=progress)


def _by_bi_encoder(
    model: Location, settings: SearchSettings, progress: Progress, tell: Tell
) -> Run:
    queries = judged_topics(settings.source).queries
    encoder = open_bi_encoder(model)
    for note in notes_on(encoder):
        tell(note)
    with TemporaryDirectory() as folder:
        write_docs(settings.source.docs(), Path(folder))
        docs = StoredDocs(Path(folder))
        path = embedded(encoder, docs, Path(folder), processes=ALONE, progress=progress)
        vectors = encoder.searchable(encoder.embed_queries([query.text for query in queries]))
        nearest = dense.nearest(
            vectors, embeddings.opened(path), depth=settings.depth, progress=progress
        )
        return dense.run_of(_tag(model), queries, docs.doc_ids, *nearest)


@dataclass(frozen=True)
class RerankSettings:
    """The model that re-ranks, the run, the depth, and the file of the new run."""

    model: str
    """A ranker's folder or hub id."""
    source: Source
    run: Path
    out: Path
    depth: int = 100
    revision: str | None = None


def rerank(settings: RerankSettings, progress: Progress, tell: Tell = _untold) -> Result:
    """Re-rank the top of a run with a model, and write the new run."""
    model = located(settings.model, revision=settings.revision)
    writable(settings.out)
    queries, run = judged_topics(settings.source).queries, read_run(settings.run)
    ranker = open_ranker(downloaded(model))
    for note in notes_on(ranker):
        tell(note)
    ranked = {doc.doc_id for ranking in run.rankings.values() for doc in ranking[: settings.depth]}
    with TemporaryDirectory() as folder:
        write_docs((doc for doc in settings.source.docs() if doc.doc_id in ranked), Path(folder))
        reranked_run = reranked(
            ranker,
            queries,
            run,
            texts=StoredDocs(Path(folder)).texts,
            depth=settings.depth,
            tag=_tag(model),
            progress=progress,
        )
    _write(settings.out, reranked_run)
    return Result(lines=(written_line(settings.out, reranked_run),))


def _tag(model: Location) -> str:
    """The tag of a model's run: the name of its folder, or of its step where a study keeps it."""
    path = Path(model.name)
    return path.parent.name if path.name == "model" else path.name


def _write(out: Path, run: Run) -> None:
    """Write a run whole or not at all."""
    with written_whole(out) as aside:
        write_run(aside, run)
