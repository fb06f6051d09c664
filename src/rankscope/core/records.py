"""The records that all other modules exchange: Doc, Query, Qrel, ScoredDoc, Run, ListwiseSample, Fact.

Field names are those of ir_datasets and ir_measures, so that a record passes into those tools
unconverted.
"""

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Literal, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.fields import given_whole
from rankscope.core.words import counted

_LARGEST = np.finfo(np.float32).max
_MAGNITUDE = 0x7FFFFFFF
"""The bits of a float32 but its sign."""


class Doc(NamedTuple):
    """A unit of retrieval. `text` is the title and the body, joined by a space.

    >>> rs.Doc("d1", "The red cat sits.").text
    'The red cat sits.'
    """

    doc_id: str
    text: str


class Query(NamedTuple):
    """An information need, in words.

    >>> rs.Query("q1", "who sits").query_id
    'q1'
    """

    query_id: str
    text: str


class Qrel(NamedTuple):
    """One judgement; `relevance` is the judged grade. A doc without a Qrel is unjudged, not grade 0.

    >>> rs.Qrel("q1", "d1", 2).relevance
    2
    """

    query_id: str
    doc_id: str
    relevance: int


class ScoredDoc(NamedTuple):
    """One doc in a ranking; higher scores are better.

    >>> rs.ScoredDoc("q1", "d1", 2.5) in rs.Run.of("mine", [rs.ScoredDoc("q1", "d1", 2.5)]).rankings["q1"]
    True
    """

    query_id: str
    doc_id: str
    score: float


class ListwiseSample(NamedTuple):
    """A query and its group of docs, with one label per doc (from qrels or from a teacher).

    >>> rs.ListwiseSample("q1", ("d1", "d2"), (1.0, 0.0)).labels
    (1.0, 0.0)
    """

    query_id: str
    doc_ids: tuple[str, ...]
    labels: tuple[float, ...]
    seed: int = 0
    """Seeds what is random in its texts: crops, typos."""


class Choice(NamedTuple):
    """A query and docs of which the first is relevant and the others are not, as far as is judged."""

    query_id: str
    doc_ids: tuple[str, ...]


def as_float32(scores: Iterable[float]) -> list[float]:
    """The scores as trec_eval keeps them: what float32 does not tell apart is tied, what is beyond it infinite."""
    with np.errstate(over="ignore", under="ignore"):
        rounded: list[float] = np.array(list(scores), dtype=np.float64).astype(np.float32).tolist()
    return rounded


def lowered(
    scores: Sequence[float] | NDArray[np.float32] | NDArray[np.float64],
) -> tuple[NDArray[np.float32], int | None]:
    """The scores of a ranking, best first, each as float32 under the one before; and the first that has none.

    A score above float32's largest is lowered to it. None is under float32's lowest; then what follows is void.
    """
    given = np.minimum(np.asarray(scores, dtype=np.float64), _LARGEST)
    with np.errstate(over="ignore", under="ignore"):
        rounded = given.astype(np.float32)
    # neighbours have neighbouring numbers, so the highest is the one before less 1, or the score's own
    count = np.arange(len(rounded))
    numbers = np.minimum.accumulate(_numbers(rounded) + count) - count
    void = np.flatnonzero(
        (given < -_LARGEST) | (numbers < _numbers(-np.array(_LARGEST, np.float32)))
    )
    below = _floats(np.maximum(numbers, -_MAGNITUDE))
    # a zero keeps its sign
    return np.where(below == rounded, rounded, below), int(void[0]) if len(void) else None


def _numbers(floats: NDArray[np.float32]) -> NDArray[np.int64]:
    """All float32 counted from 0, upward and downward."""
    bits = floats.view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & _MAGNITUDE))


def _floats(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = np.where(numbers >= 0, numbers, -numbers | ~_MAGNITUDE)
    return bits.astype(np.int32).view(np.float32)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Inside the block garbage collection is off: it takes half the time of making a million small objects."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def ranked(scored_docs: Iterable[ScoredDoc]) -> list[ScoredDoc]:
    """Best first: by the score as float32 and then by doc_id, both descending.

    So trec_eval orders; no tie is left open.
    """
    docs = list(scored_docs)
    keys = zip(as_float32(doc.score for doc in docs), map(_doc_id, docs), docs, strict=True)
    return [doc for *_, doc in sorted(keys, reverse=True)]


_doc_id = attrgetter("doc_id")


class Columns(NamedTuple):
    """One query's ranking, best first, without an object for each doc."""

    doc_ids: Sequence[str]
    scores: Sequence[float] | NDArray[np.float32] | NDArray[np.float64]


def columns_of(ranking: Sequence[ScoredDoc]) -> Columns:
    """A ranking as columns."""
    return Columns([doc.doc_id for doc in ranking], [doc.score for doc in ranking])


@final
class Rankings(Mapping[str, list[ScoredDoc]]):
    """Rankings kept as columns; a query's scored docs are made when somebody reads them, and kept."""

    def __init__(self, columns: Mapping[str, Columns]) -> None:
        self.columns = columns
        self._read: dict[str, list[ScoredDoc]] = {}

    def __getitem__(self, query_id: str) -> list[ScoredDoc]:
        if query_id not in self._read:
            doc_ids, scores = self.columns[query_id]
            fields = zip(repeat(query_id), doc_ids, np.asarray(scores).tolist(), strict=False)
            self._read[query_id] = list(map(ScoredDoc._make, fields))
        return self._read[query_id]

    def __contains__(self, query_id: object) -> bool:
        return query_id in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


@final
@dataclass(frozen=True)
class Run:
    """All queries' rankings by one system, each best first in the one total order there is.

    >>> rs.Run.of("mine", [rs.ScoredDoc("q1", "d1", 0.5), rs.ScoredDoc("q1", "d2", 1.5)])
    Run mine: 1 query, 2 docs
    """

    tag: str
    rankings: Mapping[str, list[ScoredDoc]]

    def __repr__(self) -> str:
        n_docs = sum(len(self.columns(query_id).doc_ids) for query_id in self.rankings)
        n_queries = counted(len(self.rankings), "query", "queries")
        return f"Run {self.tag}: {n_queries}, {counted(n_docs, 'doc')}"

    @classmethod
    def of(cls, tag: str, scored_docs: Iterable[ScoredDoc], *, source: object = None) -> "Run":
        """A run from scored docs in any order; `source` is what an error calls it.

        Raises BadInput for a doc ranked twice for one query or a score that is not a finite number.
        """
        by_query: dict[str, dict[str, ScoredDoc]] = {}
        name = f"run {tag}" if source is None else source
        for scored in scored_docs:
            if not math.isfinite(scored.score):
                raise BadInput(
                    f"{name}: query {scored.query_id}, doc {scored.doc_id} has the score "
                    f"{scored.score}; a score must be a finite number. Rank the query again."
                )
            docs = by_query.setdefault(scored.query_id, {})
            if scored.doc_id in docs:
                raise BadInput(
                    f"{name}: query {scored.query_id} ranks doc {scored.doc_id} twice. "
                    "Keep one line for each query and doc."
                )
            docs[scored.doc_id] = scored
        return cls(tag, {query_id: ranked(docs.values()) for query_id, docs in by_query.items()})

    def columns(self, query_id: str) -> Columns:
        """One query's ranking as columns; no object is made for a doc where rankings are kept so."""
        if isinstance(self.rankings, Rankings):
            return self.rankings.columns[query_id]
        return columns_of(self.rankings[query_id])

    def float32_scores(self, query_id: str) -> NDArray[np.float32]:
        """The scores of one query's ranking, best first, as trec_eval keeps them."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(self.columns(query_id).scores, dtype=np.float64).astype(np.float32)

    def top(self, depth: int) -> "Run":
        """The same run, cut at `depth` docs a query. Raises BadInput for a depth below 1, which would cut from the end."""
        if given_whole(depth, "depth") < 1:
            raise BadInput(
                f"The depth is {depth}, and a ranking has at least 1 doc. Give 1 or more."
            )
        return Run(self.tag, {q: ranking[:depth] for q, ranking in self.rankings.items()})

    def tied_share(self) -> float:
        """Share of neighbours in the rankings whose scores are equal as float32; 1.0 is a collapsed ranker."""
        rankings = list(map(self.float32_scores, self.rankings))
        n_pairs = sum(max(0, len(scores) - 1) for scores in rankings)
        n_tied = sum(int((scores[1:] == scores[:-1]).sum()) for scores in rankings)
        return n_tied / n_pairs if n_pairs else 0.0


SUBJECT, OBJECT = "[X]", "[Y]"
"""The places of a template of facts."""


@dataclass(frozen=True)
class Fact:
    """One fact. Templates hold [X] and [Y] once each; facts of one relation share them."""

    fact_id: str
    relation: str
    subject: str
    object: str
    doc_ids: tuple[str, ...] = ()
    """The docs that state it, which are relevant for its question."""
    question: str = ""
    """Its question, the text of the query whose id is the fact's; empty where it has none."""
    templates: tuple[str, ...] = ()
    """Statements of its relation, the main one first."""
    held_out: tuple[str, ...] = ()
    """Those of `templates` that pre-training states for other facts of the relation and never for this one."""
    question_forms: tuple[str, ...] = ()
    """Questions of its relation followed by the answer: "where was [X] born ? [Y]"."""
    alias: str = ""
    """Another name of the object, which docs may have in its place; empty where it has none."""
    group: str = ""
    """The group with which it is left out of pre-training or of a training; empty where it is in none."""

    @property
    def seen(self) -> tuple[str, ...]:
        """The statements that pre-training may have shown of this fact: all but those held out."""
        return tuple(template for template in self.templates if template not in self.held_out)

    def stated(self, template: str) -> str:
        """The fact in a template's words."""
        return self.cloze(template, self.object)

    def cloze(self, template: str, mask: str) -> str:
        """The template with the subject, and `mask` in the object's place: what a base is asked."""
        before, _, behind = template.partition(OBJECT)
        subject = self.subject
        return f"{before.replace(SUBJECT, subject)}{mask}{behind.replace(SUBJECT, subject)}"


Form = Literal["seen", "unseen", "question", "question unseen", "never stated"]


class Cloze(NamedTuple):
    """A fact asked by one of its templates or forms of questions, the object masked."""

    fact: Fact
    template: str
    form: Form
    """What pre-training showed of the fact in this template (`data.facts.clozes`)."""
