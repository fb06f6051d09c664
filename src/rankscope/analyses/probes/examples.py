"""The examples that layers are probed with: choices over a collection with their texts, and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.analyses.probes.spec import ProbesSpec
from rankscope.core.records import Choice
from rankscope.data.collections import (
    StoredDocs,
)
from rankscope.explain.probing import PUBLISHED_SEED, Texts, texts_of
from rankscope.retrieve import bm25
from rankscope.store.files import temporary_folder


def seeds_of(spec: ProbesSpec) -> tuple[int, ...]:
    """The seeds of the fits of every probe; study A's is 42."""
    first = PUBLISHED_SEED if spec.is_published else 1
    return tuple(range(first, first + spec.fits))


@dataclass(frozen=True)
class ProbeExamples:
    """Choices over a collection, with their texts."""

    train: tuple[Choice, ...]
    test: tuple[Choice, ...]
    queries: Mapping[str, str]
    docs: Mapping[str, str]
    scores: Sequence[Sequence[float]]
    """For every doc of the test choices, its score in the run that the negatives come from."""
    notes: tuple[str, ...]

    @property
    def texts(self) -> Texts:
        """The distinct texts, whose places are the rows of a ranker's states."""
        return texts_of([*self.train, *self.test])


def bm25_scores(
    docs: StoredDocs, queries: Mapping[str, str], test: Sequence[Choice]
) -> list[list[float]]:
    """The BM25 score of every doc of the choices, as a lexical first stage gives it."""
    with temporary_folder() as folder:
        bm25.build(docs, folder)
        index = bm25.Index.load(folder)
        return [index.score(queries[choice.query_id], choice.doc_ids) for choice in test]
