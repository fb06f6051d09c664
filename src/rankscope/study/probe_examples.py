"""What the layers of rankers are probed with: the rankers, and choices over a collection with their texts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.records import Choice
from rankscope.core.words import words
from rankscope.data.by_words import ByWords
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.collections import (
    Source,
    StoredDocs,
    Topics,
    judged_topics,
    write_docs,
)
from rankscope.explain.probing import PUBLISHED_SEED, Texts, texts_of
from rankscope.models import backbone
from rankscope.models.bi_encoder import POOLINGS, SIDES, BiEncoder, Side
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location, declared_kind, downloaded, located
from rankscope.retrieve import bm25
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.study.run_files import has_name
from rankscope.study.spec_explain import ProbesSpec

FEWEST_QUERIES = 20
LONGEST: dict[Side, int] = {"query": 64, "document": 256}
"""Tokens that are read of a text by a bare encoder."""


@dataclass(frozen=True)
class Settings:
    """What is asked of every ranker."""

    ns: tuple[int, ...] = (2, 3, 4, 5)
    seeds: tuple[int, ...] = (1, 2, 3)
    rank: int = 32
    """Of the bilinear probe."""
    with_mlp: bool = False
    as_published: bool = False
    """Study A's probe in place of the sound ones."""
    depth: int = 100
    """Ranks of BM25 that negatives are drawn from."""
    margin: float = 0.02
    """The difference in accuracy below which two layers are equivalent."""
    seed: int = 42
    """Of the choices."""


def seeds_of(n: int, *, as_published: bool) -> tuple[int, ...]:
    """The seeds of so many fits; study A's is 42."""
    first = PUBLISHED_SEED if as_published else 1
    return tuple(range(first, first + n))


def settings_of(asked: ProbesSpec, *, seed: int) -> Settings:
    """What a study asks of every ranker."""
    return Settings(
        ns=tuple(sorted(set(asked.candidates))),
        seeds=seeds_of(asked.fits, as_published=asked.method == "as_published"),
        rank=asked.rank,
        with_mlp=asked.mlp,
        as_published=asked.method == "as_published",
        margin=asked.margin,
        seed=seed,
    )


@dataclass(frozen=True)
class Examples:
    """Choices over a collection, with their texts."""

    train: tuple[Choice, ...]
    test: tuple[Choice, ...]
    queries: Mapping[str, str]
    docs: Mapping[str, str]
    scores: Sequence[Sequence[float]]
    """Of the run that the negatives come from, of every doc of the test choices."""
    notes: tuple[str, ...]

    @property
    def texts(self) -> Texts:
        """The distinct texts, whose places are the rows of a ranker's states."""
        return texts_of([*self.train, *self.test])


# -- what is asked --------------------------------------------------------------------------------


def numbers(written: str) -> tuple[int, ...]:
    """Numbers of candidates as a user writes them: "2 3 4 5"."""
    try:
        found = tuple(sorted({int(word) for word in written.split()}))
    except ValueError:
        found = ()
    if not found or found[0] < 2:
        raise BadInput(
            f'Candidates {written!r}: whole numbers from 2 on are needed, as in "2 3 4 5".'
        )
    return found


def opened(
    models: Sequence[str], *, revision: str | None, pooling: str | None
) -> dict[str, BiEncoder | CrossEncoder]:
    """The rankers by name: NAME=MODEL, or a model by its own; all of one kind.

    A bare encoder, as a pre-trained one, is read with the `pooling`.
    """
    found: dict[str, BiEncoder | CrossEncoder] = {}
    for written in models:
        name, model = named(written)
        if name in found:
            raise BadInput(f"Two models are called {name!r}. Name one: NAME={model}.")
        found[name] = _opened(located(model, revision=revision), pooling)
    if len({type(ranker) for ranker in found.values()}) > 1:
        raise BadInput(
            "Some models read query and doc together and some apart: their layers have states of other things. "
            "Take the ones by themselves."
        )
    return found


def named(written: str) -> tuple[str, str]:
    """A model's name and where it is, from NAME=MODEL or MODEL alone."""
    name, model = written.split("=", 1) if has_name(written) else ("", written)
    return name or _called(model), model


def _called(model: str) -> str:
    """A folder's name; its step's, where a study keeps it, or its package's."""
    path = Path(model)
    return path.parent.name.removeprefix("package:") if path.name == "model" else path.name


def _opened(location: Location, pooling: str | None) -> BiEncoder | CrossEncoder:
    folder = downloaded(location)
    kind = declared_kind(folder)
    if kind == "late_interaction":
        raise BadInput(
            f"{location.name}: a ColBERT (late interaction), which has a vector a token and no states of whole texts. "
            "Give bi-encoders or cross-encoders."
        )
    if kind == "cross_encoder":
        return CrossEncoder.load(folder)
    if kind == "bi_encoder":
        return BiEncoder.load(location)
    if pooling is None:
        raise BadInput(
            f"{location.name}: a bare encoder, so how its states become one is unknown. Give `--pooling`: "
            f"{', '.join(POOLINGS)}."
        )
    encoder = backbone.load_encoder(Location(location.name, folder))
    longest = backbone.longest(encoder.model, encoder.tokenizer)
    lengths: dict[Side, int] = {side: min(LONGEST[side], longest) for side in SIDES}
    choose(POOLINGS, pooling, what="pooling")
    return BiEncoder.on(encoder, pooling=pooling, max_length=lengths)


# -- examples -------------------------------------------------------------------------------------


@contextmanager
def indexed(
    source: Source, language: str, progress: Progress
) -> Iterator[tuple[StoredDocs, bm25.Index]]:
    """A collection's docs and BM25 over them in a language of the analyzer, for as long as the block lasts."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_docs(source.docs(), folder)
        stored = StoredDocs(folder)
        bm25.build(stored, folder, language=language)
        index = bm25.Index.load(folder)
        for note in index.notes:
            progress.note(f"BM25: {note}")
        yield stored, index


def examples(
    train: Source,
    test: Source,
    settings: Settings,
    progress: Progress,
    *,
    language: str = ENGLISH,
) -> Examples:
    """Choices for training and test with negatives by BM25; a test query is never among the training ones.

    Both are over the docs of `test`; `language` is that of BM25's analyzer.
    """
    unseen = judged_topics(test)
    learnt, n_shared = without(judged_topics(train), unseen)
    with indexed(test, language, progress) as (stored, index):
        learnt, n_lost_of_train = with_texts(learnt, stored)
        unseen, n_lost = with_texts(unseen, stored)
        made = [
            choices_from_qrels(
                topics.qrels,
                bm25.search(index, topics.queries, depth=settings.depth, progress=progress),
                n_docs=max(settings.ns),
                depth=settings.depth,
                seed=settings.seed,
                by_words=ByWords(topics, stored.key),
            )
            for topics in (learnt, unseen)
        ]
        check_enough(made[0].choices, made[1].choices)
        queries = {q.query_id: q.text for q in (*learnt.queries, *unseen.queries)}
        scores = [index.score(queries[each.query_id], each.doc_ids) for each in made[1].choices]
        doc_ids = texts_of([*made[0].choices, *made[1].choices]).doc_ids
        docs = dict(zip(doc_ids, stored.texts(doc_ids), strict=True))
    return Examples(
        train=made[0].choices,
        test=made[1].choices,
        queries=queries,
        docs=docs,
        scores=scores,
        notes=tuple(notes_on(n_shared, *made, n_lost=n_lost + n_lost_of_train)),
    )


def bm25_scores(
    docs: StoredDocs, queries: Mapping[str, str], test: Sequence[Choice]
) -> list[list[float]]:
    """Of every doc of the choices: what a lexical first stage makes of them."""
    with TemporaryDirectory() as name:
        bm25.build(docs, Path(name))
        index = bm25.Index.load(Path(name))
        return [index.score(queries[each.query_id], each.doc_ids) for each in test]


def without(learnt: Topics, unseen: Topics) -> tuple[Topics, int]:
    """Training topics whose query is no test query, by its id or its words; and how many were."""
    known = {query.query_id for query in unseen.queries}
    known_words = {words(query.text) for query in unseen.queries}
    kept = {
        query.query_id
        for query in learnt.queries
        if query.query_id not in known and words(query.text) not in known_words
    }
    if not kept:
        raise BadInput(
            "All training queries are test queries. Give another split or collection to train on."
        )
    queries = [query for query in learnt.queries if query.query_id in kept]
    qrels = [qrel for qrel in learnt.qrels if qrel.query_id in kept]
    return Topics(queries, qrels), len(learnt.queries) - len(kept)


def with_texts(topics: Topics, docs: StoredDocs) -> tuple[Topics, int]:
    """The topics without judgements of docs that have no text; how many relevant docs those were."""
    kept = [qrel for qrel in topics.qrels if qrel.doc_id in docs]
    n_lost = sum(qrel.relevance > 0 and qrel.doc_id not in docs for qrel in topics.qrels)
    return Topics(topics.queries, kept), n_lost


def check_enough(train: Sequence[Choice], test: Sequence[Choice]) -> None:
    """Refuse too few training queries to hold some out, or test queries to compare over."""
    n_learnt = len({choice.query_id for choice in train})
    if n_learnt < FEWEST_QUERIES:
        raise BadInput(
            f"{n_learnt} training queries have a relevant doc and enough hard negatives; {FEWEST_QUERIES} are "
            "needed, since some choose the penalty. Give another collection to train the probes on."
        )
    n_tested = len({choice.query_id for choice in test})
    if n_tested < FEWEST_QUERIES:
        raise BadInput(
            f"{n_tested} test queries have a relevant doc and enough hard negatives; {FEWEST_QUERIES} are needed "
            "for intervals over queries. Give another collection to test on."
        )


def notes_on(n_shared: int, train: Choices, test: Choices, *, n_lost: int = 0) -> list[str]:
    """What was left out of the examples."""
    notes = [f"{n_shared} training queries are test queries and were left out."] if n_shared else []
    if n_lost:
        notes.append(f"{n_lost} relevant docs have no text and were left out.")
    return notes + [
        f"{what}: {count} gave no example ({reason})."
        for what, each in (("training", train), ("test", test))
        for reason, count in each.dropped.items()
    ]
