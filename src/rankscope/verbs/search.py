"""Search a collection, without a study file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress, Tell
from rankscope.core.records import Query, Run
from rankscope.core.result import Result
from rankscope.core.words import counted, of_number
from rankscope.data.collections import Source, judged_topics
from rankscope.models.inference import AS_IT_IS, Inference
from rankscope.models.location import located
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH, LANGUAGES
from rankscope.retrieve.lexical.weights import K1, B
from rankscope.store.files import temporary_folder
from rankscope.verbs import run_metadata
from rankscope.verbs.models import tag_of, untold
from rankscope.verbs.run_metadata import RunFacts
from rankscope.verbs.written import ready, written

BM25 = "bm25"
"""The name that stands for BM25 in the place of a model."""


_HAS_NONE = {True: "is none", False: "has its own tokenizer and similarity"}


class Bm25Weights(NamedTuple):
    """BM25's parameters; 0.9 and 0.4 as in Anserini, where None."""

    k1: float | None = None
    b: float | None = None

    @property
    def given(self) -> dict[str, float]:
        """Those that a person gave, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


USUAL = Bm25Weights()


@dataclass(frozen=True)
class SearchSettings:
    """The model that searches, the collection, the depth, and the file of the run."""

    model: str
    """bm25, or a bi-encoder's folder or hub id."""
    source: Source
    out: Path
    depth: int = 100
    language: str | None = None
    """The language of BM25's analyzer; English, if None."""
    weights: Bm25Weights = USUAL
    revision: str | None = None
    how: Inference = AS_IT_IS
    """How a bi-encoder embeds."""
    collection: str = ""
    """The name of the collection, for the run's metadata."""
    command: str = ""

    def __post_init__(self) -> None:
        """Raises BadInput for what is BM25's where a bi-encoder searches, and the other way round."""
        of_bm25 = {"--language": self.language, "--k1": self.weights.k1, "--b": self.weights.b}
        of_models = {
            "--revision": self.revision,
            "--device": self.how.device,
            "--precision": None if self.how.precision == AS_IT_IS.precision else self.how.precision,
            "--batch-size": self.how.texts_per_batch,
            "--max-length": self.how.max_length,
        }
        given = [
            name
            for name, value in (of_models if self.is_bm25 else of_bm25).items()
            if value is not None
        ]
        if given:
            whose, other = ("models", "bm25") if self.is_bm25 else ("bm25", self.model)
            raise BadInput(
                f"{', '.join(given)}: for {whose}, and {other} {_HAS_NONE[self.is_bm25]}. Leave it out."
            )

    @property
    def is_bm25(self) -> bool:
        """Whether the model's name stands for BM25: in any case, unless a folder is called so."""
        return self.model == BM25 or (self.model.lower() == BM25 and not Path(self.model).exists())


def search(settings: SearchSettings, progress: Progress, tell: Tell = untold) -> Result:
    """Rank all docs for the judged queries, and write the run."""
    model = None if settings.is_bm25 else located(settings.model, revision=settings.revision)
    ready(settings.out)
    notes: tuple[str, ...] = ()
    if model is None:
        language = settings.language or ENGLISH
        run, notes = by_bm25(
            settings.source,
            depth=settings.depth,
            language=language,
            weights=settings.weights,
            progress=progress,
        )
    else:
        from rankscope.models.inputs import notes_on  # load torch
        from rankscope.models.opening import open_bi_encoder, require_precision
        from rankscope.verbs.dense import by_bi_encoder

        require_precision(settings.how.precision, settings.how.device)
        encoder = open_bi_encoder(model, settings.how)
        for note in notes_on(encoder):
            tell(note)
        run = by_bi_encoder(
            encoder,
            settings.source,
            depth=settings.depth,
            tag=tag_of(model),
            precision=settings.how.precision,
            progress=progress,
            tell=tell,
        )
    line = written(settings.out, run)
    run_metadata.write(settings.out, run_metadata.of_run(run.tag, _facts(settings)))
    return Result(lines=(line,), notes=notes)


def _facts(settings: SearchSettings) -> RunFacts:
    """What is told of the run beside it."""
    if not settings.is_bm25:
        commit = {"revision": settings.revision} if settings.revision else {}
        dense = {"name": "dense", "method": settings.model, **commit}
        return RunFacts(settings.command, settings.collection, [dense])
    retrieval = {
        "name": BM25,
        "method": "Lucene's BM25, exact lengths",
        "k1": K1,
        "b": B,
        **settings.weights.given,
    }
    language = settings.language or ENGLISH
    return RunFacts(
        settings.command, settings.collection, [retrieval], indexing={"stemmer": language}
    )


def _without_docs(queries: Sequence[Query], run: Run) -> tuple[str, ...]:
    """A note on queries for which BM25 found nothing; BadInput where that is all of them."""
    without = [query.query_id for query in queries if query.query_id not in run.rankings]
    if len(without) == len(queries):
        raise BadInput(
            f"{of_number(len(queries), 'The one judged query has no', f'None of the {len(queries)} judged queries has a')} word that a doc has, so the run would be empty. Check "
            "that queries and docs are in one language, and give it by --language."
        )
    if not without:
        return ()
    return (
        f"{len(without)} of {counted(len(queries), 'judged query', 'judged queries')} "
        f"{of_number(len(without), 'has', 'have')} no word that a doc has, and no docs in the run "
        f"(first: {without[0]}).",
    )


def by_bm25(
    source: Source,
    *,
    depth: int,
    language: str,
    weights: Bm25Weights = USUAL,
    progress: Progress,
) -> tuple[Run, tuple[str, ...]]:
    """The run of a collection's judged queries, and a note on queries for which nothing was found."""
    choose(LANGUAGES, language, what="language")
    queries = judged_topics(source).queries
    with temporary_folder() as folder:
        bm25.build(source.docs(), folder, language=language, **weights.given)
        index = bm25.Index.load(folder)
        for note in index.notes:
            progress.note(f"BM25: {note}")
        run = bm25.search(index, queries, depth=depth, progress=progress)
    return run, _without_docs(queries, run)
