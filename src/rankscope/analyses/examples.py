"""Queries with a relevant doc and hard negatives, which most analyses read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rankscope.core.errors import BadInput
from rankscope.core.progress import Progress
from rankscope.core.records import Choice, Run
from rankscope.core.words import counted, words
from rankscope.data.choices import Choices
from rankscope.data.collections import (
    Source,
    StoredDocs,
    Topics,
    write_docs,
)
from rankscope.evaluate.runs import without_own_docs
from rankscope.retrieve import bm25
from rankscope.store.files import temporary_folder

FEWEST_QUERIES = 20


@contextmanager
def indexed(
    source: Source, language: str, progress: Progress
) -> Iterator[tuple[StoredDocs, bm25.Index]]:
    """A collection's docs and a BM25 index of them with an analyzer's language; both last as long as the block."""
    with temporary_folder() as folder:
        write_docs(source.docs(), folder)
        stored = StoredDocs(folder)
        bm25.build(stored, folder, language=language)
        index = bm25.Index.load(folder)
        for note in index.notes:
            progress.note(f"BM25: {note}")
        yield stored, index


def searched(
    index: bm25.Index, topics: Topics, depth: int, progress: Progress, *, drop_own_docs: bool
) -> Run:
    """BM25's run for the queries; without docs of their queries' ids where the collection's convention says so."""
    run = bm25.search(index, topics.queries, depth=depth, progress=progress)
    return without_own_docs(run) if drop_own_docs else run


def without(train: Topics, test: Topics) -> tuple[Topics, int]:
    """The training topics whose query is no test query, by id or words; and how many queries were."""
    test_ids = {query.query_id for query in test.queries}
    test_words = {words(query.text) for query in test.queries}
    kept = {
        query.query_id
        for query in train.queries
        if query.query_id not in test_ids and words(query.text) not in test_words
    }
    if not kept:
        raise BadInput(
            "All training queries are test queries. Give another split or collection to train on."
        )
    queries = [query for query in train.queries if query.query_id in kept]
    qrels = [qrel for qrel in train.qrels if qrel.query_id in kept]
    return Topics(queries, qrels), len(train.queries) - len(kept)


def with_texts(topics: Topics, docs: StoredDocs) -> tuple[Topics, int]:
    """The topics without judgements of docs that have no text; and how many of these docs were relevant."""
    kept = [qrel for qrel in topics.qrels if qrel.doc_id in docs]
    n_lost = sum(qrel.relevance > 0 and qrel.doc_id not in docs for qrel in topics.qrels)
    return Topics(topics.queries, kept), n_lost


def check_enough(train: Sequence[Choice], test: Sequence[Choice]) -> None:
    """Raises BadInput for too few training queries to hold some out, or too few test queries for intervals."""
    n_learnt = len({choice.query_id for choice in train})
    if n_learnt < FEWEST_QUERIES:
        raise BadInput(
            f"{counted(n_learnt, 'training query has', 'training queries have')} a relevant doc and enough hard negatives; {FEWEST_QUERIES} are "
            "needed, since some choose the penalty. Give another collection to train the probes on."
        )
    n_tested = len({choice.query_id for choice in test})
    if n_tested < FEWEST_QUERIES:
        raise BadInput(
            f"{counted(n_tested, 'test query has', 'test queries have')} a relevant doc and enough hard negatives; {FEWEST_QUERIES} are needed "
            "for intervals over queries. Give another collection to test on."
        )


def notes_on(n_shared: int, train: Choices, test: Choices, *, n_lost: int = 0) -> list[str]:
    """Notes on what was left out of the examples."""
    shared = counted(n_shared, "training query is a test query and was", "training queries are test queries and were")  # fmt: skip
    notes = [f"{shared} left out."] if n_shared else []
    if n_lost:
        lost = counted(n_lost, "relevant doc has no text and was", "relevant docs have no text and were")  # fmt: skip
        notes.append(f"{lost} left out.")
    return notes + [
        f"{what}: {count} gave no example ({reason})."
        for what, choices in (("training", train), ("test", test))
        for reason, count in choices.dropped.items()
    ]
