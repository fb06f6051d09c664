"""Search a collection, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress, Tell
from rankscope.core.records import Query, Run
from rankscope.core.result import Result
from rankscope.data.collections import Source, judged_topics
from rankscope.models.location import located
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH, LANGUAGES
from rankscope.store.files import temporary_folder, writable
from rankscope.verbs.models import tag_of, untold
from rankscope.verbs.written import written

BM25 = "bm25"
"""The name that stands for BM25 in the place of a model."""


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


def search(settings: SearchSettings, progress: Progress, tell: Tell = untold) -> Result:
    """Rank all docs for the judged queries, and write the run."""
    is_bm25 = settings.model == BM25
    model = None if is_bm25 else located(settings.model, revision=settings.revision)
    writable(settings.out)
    notes: tuple[str, ...] = ()
    if model is None:
        language = settings.language or ENGLISH
        run, notes = by_bm25(
            settings.source, depth=settings.depth, language=language, progress=progress
        )
    else:
        from rankscope.models.inputs import notes_on  # load torch
        from rankscope.models.opening import open_bi_encoder
        from rankscope.verbs.dense import by_bi_encoder

        encoder = open_bi_encoder(model)
        for note in notes_on(encoder):
            tell(note)
        run = by_bi_encoder(
            encoder, settings.source, depth=settings.depth, tag=tag_of(model), progress=progress
        )
    return Result(lines=(written(settings.out, run),), notes=notes)


def _without_docs(queries: Sequence[Query], run: Run) -> tuple[str, ...]:
    """A note on queries for which BM25 found nothing; BadInput where that is all of them."""
    without = [query.query_id for query in queries if query.query_id not in run.rankings]
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


def by_bm25(
    source: Source, *, depth: int, language: str, progress: Progress
) -> tuple[Run, tuple[str, ...]]:
    """The run of a collection's judged queries, and a note on queries for which nothing was found."""
    choose(LANGUAGES, language, what="language")
    queries = judged_topics(source).queries
    with temporary_folder() as folder:
        bm25.build(source.docs(), folder, language=language)
        index = bm25.Index.load(folder)
        for note in index.notes:
            progress.note(f"BM25: {note}")
        run = bm25.search(index, queries, depth=depth, progress=progress)
    return run, _without_docs(queries, run)
