"""Per-query values of measures.

The tools behind ir_measures break ties in opposite directions, so they get a run in its own total order
(scores -1, -2, ...). They get queries by number, because gdeval takes `PLAIN-2` for query 2. The mean is over the
judged queries: a query that the run leaves out counts 0 and is named.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from rankscope.core.errors import BadInput
from rankscope.core.progress import Advance, untold
from rankscope.core.records import Qrel, Run
from rankscope.core.words import counted, of_number
from rankscope.evaluate.measures import computable, level_of
from rankscope.evaluate.tools import (
    QUERIES_AT_ONCE,
    PreparedQueries,
    as_tools_take,
    calls,
    named,
)


@dataclass(frozen=True)
class Measured:
    """The values of one run: measure -> query_id -> value, for every judged query."""

    values: Mapping[str, Mapping[str, float]]
    missing_queries: tuple[str, ...]
    """Judged queries that the run does not rank; they count 0."""
    unjudged_queries: tuple[str, ...] = ()
    """Ranked queries that nobody judged; they do not count."""

    @property
    def n_queries(self) -> int:
        """The number of judged queries."""
        return len(next(iter(self.values.values()), {}))

    def means(self) -> dict[str, float]:
        """Measure -> mean over the judged queries."""
        return {
            measure: sum(by_query.values()) / len(by_query)
            for measure, by_query in self.values.items()
        }

    def called(self, names: Mapping[str, str]) -> "Measured":
        """The same values under other names. names: new name to the name here; several may share one."""
        values = {name: self.values[measure] for name, measure in names.items()}
        return Measured(values, self.missing_queries, self.unjudged_queries)


HIGHEST_OF_GDEVAL = 4


def _is_gdevals(measure: Any) -> bool:
    is_exponential = measure.NAME == "ERR" or measure.params.get("dcg") == "exp-log2"
    return is_exponential and "cutoff" in measure.params


@final
class Measuring:
    """Measures over one set of judgements, prepared once for any number of runs."""

    def __init__(self, qrels: Iterable[Qrel], measures: Sequence[str]) -> None:
        relevance: dict[str, dict[str, int]] = {}
        for qrel in qrels:
            relevance.setdefault(qrel.query_id, {})[qrel.doc_id] = qrel.relevance
        self.relevance: Mapping[str, Mapping[str, int]] = relevance
        """query_id and doc_id to grade."""
        self.query_ids = tuple(sorted(relevance))
        self.measures = tuple(measures)
        for name in measures:
            computable(name)
        self._names = named(self.measures)
        self._check_grades()
        self._numbers = {query_id: str(at) for at, query_id in enumerate(self.query_ids)}
        prepared = calls(self._names)
        self._batches = [
            (query_ids, PreparedQueries(self._numbered(query_ids), prepared))
            for start in range(0, len(self.query_ids), QUERIES_AT_ONCE)
            for query_ids in [self.query_ids[start : start + QUERIES_AT_ONCE]]
        ]

    def _numbered(self, query_ids: Iterable[str]) -> dict[str, Mapping[str, int]]:
        return {self._numbers[query_id]: self.relevance[query_id] for query_id in query_ids}

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process prepares it again, because the tools behind it cannot be pickled."""
        qrels = [
            Qrel(query_id, doc_id, grade)
            for query_id, docs in self.relevance.items()
            for doc_id, grade in docs.items()
        ]
        return Measuring, (qrels, self.measures)

    def notes(self) -> list[str]:
        """How many queries have no relevant doc at the measures' levels, so that their values are 0 in any run."""
        by_level: dict[int, list[str]] = {}
        for measure in self.measures:
            level = level_of(measure)
            if level is not None:
                by_level.setdefault(level, []).append(measure)
        notes = []
        for level, measures in sorted(by_level.items()):
            without = self.without_relevant(level)
            if without:
                notes.append(
                    f"{len(without)} of {counted(len(self.query_ids), 'query', 'queries')} {of_number(len(without), 'has', 'have')} no "
                    f"doc of grade {level} or above (first: {without[0]}): {of_number(len(without), 'it counts', 'they count')} 0 in {', '.join(measures)}, as in trec_eval"
                )
        return notes

    def without_relevant(self, level: int) -> list[str]:
        """The judged queries without a doc of that grade or above."""
        return [
            query_id
            for query_id in self.query_ids
            if max(self.relevance[query_id].values()) < level
        ]

    def only(self, query_ids: Collection[str]) -> "Measuring":
        """The same measures over some of the queries."""
        return Measuring(
            (
                Qrel(query_id, doc_id, grade)
                for query_id in query_ids
                for doc_id, grade in self.relevance[query_id].items()
            ),
            self.measures,
        )

    def _check_grades(self) -> None:
        """Raise BadInput for grades that gdeval, the tool behind ERR and exponential gains, does not know."""
        by_gdeval = [names[0] for measure, names in self._names.items() if _is_gdevals(measure)]
        if not by_gdeval:
            return
        for query_id, docs in self.relevance.items():
            for doc_id, grade in docs.items():
                if grade > HIGHEST_OF_GDEVAL:
                    raise BadInput(
                        f"{', '.join(by_gdeval)}: grades go up to {HIGHEST_OF_GDEVAL} there, and query {query_id} has "
                        f"doc {doc_id} of grade {grade}. Map the grades to 0 to {HIGHEST_OF_GDEVAL}, or use nDCG@10."
                    )

    def _check_pairs(self, tag: str, scored: Mapping[str, Mapping[str, float]]) -> None:
        """Raise BadInput where Accuracy has no pair to count: its tool divides 0 by 0 or leaves the query out."""
        for measure, names in self._names.items():
            if measure.NAME != "Accuracy":
                continue
            for number, docs in scored.items():
                query_id = self.query_ids[int(number)]
                top = list(docs)[: measure.params.get("cutoff")]
                grades = [self.relevance[query_id].get(doc_id, 0) for doc_id in top]
                n_relevant = sum(grade >= measure.params.get("rel", 1) for grade in grades)
                if n_relevant in (0, len(top)):
                    raise BadInput(
                        f"{tag}: {names[0]} counts pairs of a relevant doc and another, and of the first "
                        f"{counted(len(top), 'doc')} of query {query_id} {n_relevant} {of_number(n_relevant, 'is', 'are')} relevant: there is no pair. Use another measure, "
                        "such as RR@10."
                    )

    def of(self, run: Run, told: Advance = untold) -> Measured:
        """Every measure's value for every judged query (0 for a query the run leaves out); `told` of queries done."""
        values = {name: dict.fromkeys(self.query_ids, 0.0) for name in self.measures}
        missing: list[str] = []
        for query_ids, prepared in self._batches:
            scored = self._scored(run, query_ids)
            missing += (query_id for query_id in query_ids if self._numbers[query_id] not in scored)
            self._check_pairs(run.tag, scored)
            seen: dict[int, tuple[Any, dict[str, float]]] = {}
            for metric in prepared.metrics(run.tag, scored):
                key = id(metric.measure)  # hashing the measure itself would format it every time
                if key not in seen:  # kept beside its values, so that no other object gets its id
                    seen[key] = metric.measure, values[self._names[metric.measure][0]]
                seen[key][1][self.query_ids[int(metric.query_id)]] = float(metric.value)
            told(len(query_ids))
        for first, *others in self._names.values():
            values |= dict.fromkeys(others, values[first])
        unjudged = tuple(sorted(run.rankings.keys() - self.relevance.keys()))
        return Measured(values, tuple(missing), unjudged)

    def _scored(self, run: Run, query_ids: Iterable[str]) -> dict[str, dict[str, float]]:
        """The rankings of these queries as the tools take them; the scores -1, -2, ... leave no tie to break."""
        return {
            self._numbers[query_id]: as_tools_take(doc_ids, self.relevance[query_id])
            for query_id in query_ids
            if query_id in run.rankings and len(doc_ids := run.columns(query_id).doc_ids)
        }


def measured(run: Run, qrels: Iterable[Qrel], measures: Sequence[str]) -> Measured:
    """Every measure's value for every judged query (0 for a query the run leaves out)."""
    return Measuring(qrels, measures).of(run)
