"""Two runs over one collection: their queries by words and by difference, and a query's two rankings side by side."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.fields import shown
from rankscope.core.formats import read_run
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.tables import plain_cell
from rankscope.core.words import words
from rankscope.data.collections import StoredDocs, Topics, read_topics
from rankscope.viewer.found import RUN, FoundStep, FoundStudy

N_DOCS = 20
"""Docs of each ranking that are shown."""
Sort = Literal["difference", "query"]


class FoundQuery(NamedTuple):
    """A query, and both runs' values of the study's first measure; None where the study has not measured a run."""

    query_id: str
    text: str
    value_a: float | None
    value_b: float | None

    @property
    def difference(self) -> float | None:
        """B minus A."""
        both = self.value_a is not None and self.value_b is not None
        return self.value_b - self.value_a if both else None  # type: ignore[operator]


class ShownDoc(NamedTuple):
    """A doc of a ranking, with its rank in the other ranking (None where that lacks it) and its judged grade."""

    rank: int
    doc_id: str
    score: float
    text: str
    relevance: int | None
    other_rank: int | None


@dataclass(frozen=True)
class TwoRuns:
    """Two runs of a study over the same queries."""

    study: FoundStudy
    a: FoundStep
    b: FoundStep

    def __post_init__(self) -> None:
        if self.study.topics(self.a) != self.study.topics(self.b):
            raise BadInput(
                f"{self.a.label} and {self.b.label} rank the docs of different collections. Choose two runs of one collection."
            )

    @property
    def measure(self) -> str | None:
        """The measure of the values; None where the study has not measured both runs together."""
        of = [self.study.measured.get(step.name) for step in (self.a, self.b)]
        if None in of or of[0].evaluate != of[1].evaluate:  # type: ignore[union-attr]
            return None
        return of[0].record.headline  # type: ignore[union-attr]

    def queries(self, find: str = "", sort: Sort = "difference") -> list[FoundQuery]:
        """The queries that hold every word of `find`, parts of words included: B's largest gain first, or by id."""
        wanted = words(find).split()
        a, b = (self._values(step) for step in (self.a, self.b))
        rows = [
            FoundQuery(query.query_id, query.text, a.get(query.query_id), b.get(query.query_id))
            for query in self._topics.queries
            if all(word in words(f"{query.query_id} {query.text}") for word in wanted)
        ]
        if sort == "difference":
            return sorted(rows, key=_by_difference)
        return sorted(rows, key=lambda row: row.query_id)

    def rankings(self, query_id: str) -> tuple[list[ShownDoc], list[ShownDoc]]:
        """The tops of both rankings of a query."""
        stored = StoredDocs(self.study.store.open(self._docs))
        grades = {
            qrel.doc_id: qrel.relevance for qrel in self._topics.qrels if qrel.query_id == query_id
        }
        a, b = (_run(self._file(step)).rankings.get(query_id, []) for step in (self.a, self.b))
        ranks_a, ranks_b = ({doc.doc_id: n for n, doc in enumerate(r, 1)} for r in (a, b))
        return (
            [*_shown(a, ranks_b, grades, stored)],
            [*_shown(b, ranks_a, grades, stored)],
        )

    def texts(self, query_id: str, doc_id: str) -> tuple[str, str]:
        """The texts of a query and a doc. Raises BadInput for a query that the collection lacks."""
        queries = {query.query_id: query.text for query in self._topics.queries}
        if query_id not in queries:
            raise BadInput(f"{self.study.topics(self.a)} has no query {shown(query_id)}.")
        return queries[query_id], StoredDocs(self.study.store.open(self._docs)).text(doc_id)

    @property
    def _topics(self) -> Topics:
        name = self.study.topics(self.a)
        assert name is not None
        return _read_topics(self.study.store.open(name))

    @property
    def _docs(self) -> str:
        name = self.study.docs(self.a)
        if name is None:
            raise BadInput(f"{self.a.label}: the docs that it ranks are not among the results.")
        return name

    def _file(self, step: FoundStep) -> Path:
        return self.study.store.open(step.name) / RUN

    def _values(self, step: FoundStep) -> Mapping[str, float]:
        if self.measure is None:
            return {}
        evaluate = self.study.measured[step.name].evaluate
        table = _per_query(self.study.store.open(evaluate) / "per_query.csv")
        return table.get((f"steps/{step.name}/{RUN}", self.measure), {})


def _shown(
    ranking: Sequence[ScoredDoc],
    others: Mapping[str, int],
    grades: Mapping[str, int],
    docs: StoredDocs,
) -> Iterator[ShownDoc]:
    for rank, doc in enumerate(ranking[:N_DOCS], start=1):
        yield ShownDoc(
            rank,
            doc.doc_id,
            doc.score,
            docs.text(doc.doc_id),
            grades.get(doc.doc_id),
            others.get(doc.doc_id),
        )


def _by_difference(row: FoundQuery) -> tuple[float, str]:
    return (0.0 if row.difference is None else -row.difference, row.query_id)


# A step's files never change, so they are read once.
@cache
def _run(file: Path) -> Run:
    return read_run(file)


@cache
def _read_topics(folder: Path) -> Topics:
    return read_topics(folder)


@cache
def _per_query(file: Path) -> Mapping[tuple[str, str], Mapping[str, float]]:
    """(run path, measure) to query id and value."""
    table: dict[tuple[str, str], dict[str, float]] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for row in list(csv.reader(lines))[1:]:
            run, measure, query_id, value = map(plain_cell, row)
            table.setdefault((run, measure), {})[query_id] = float(value)
    return table
