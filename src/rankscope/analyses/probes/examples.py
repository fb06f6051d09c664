"""What the layers of rankers are probed with: settings, and choices over a collection with their texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rankscope.analyses.probes.spec import ProbesSpec
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.core.records import Choice
from rankscope.data.collections import (
    StoredDocs,
)
from rankscope.explain.probing import PUBLISHED_SEED, Texts, texts_of
from rankscope.retrieve import bm25


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
    margin: float = DEFAULT_MARGIN
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


# -- examples -------------------------------------------------------------------------------------


def bm25_scores(
    docs: StoredDocs, queries: Mapping[str, str], test: Sequence[Choice]
) -> list[list[float]]:
    """Of every doc of the choices: what a lexical first stage makes of them."""
    with TemporaryDirectory() as name:
        bm25.build(docs, Path(name))
        index = bm25.Index.load(Path(name))
        return [index.score(queries[each.query_id], each.doc_ids) for each in test]
