"""Per-query values of measures.

The tools behind ir_measures break ties in opposite directions, so they get a run in its own total order
(scores -1, -2, ...). They get queries by number, because gdeval takes `PLAIN-2` for query 2. The mean is over the
judged queries: a query that the run leaves out counts 0 and is named.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from subprocess import SubprocessError
from typing import Any, NamedTuple, final

import ir_measures

from rankscope.core.errors import BadInput
from rankscope.core.records import Qrel, Run
from rankscope.evaluate.measures import computable, level_of, parse

FAILURES = (
    ValueError, TypeError, ArithmeticError, LookupError, OSError, RuntimeError, SubprocessError,
)  # fmt: skip
"""The exceptions that the tools behind ir_measures raise."""


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


class _Together(NamedTuple):
    """Measures that share one call of a tool, and the docs of a ranking that they look at."""

    measures: list[Any]
    depth: int | None
    """None for the whole ranking."""


def _apart(measures: Iterable[Any]) -> list[_Together]:
    """The measures in groups that can share one call of a tool.

    ir_measures adds a plain nDCG or NumRet to any call: in a call with other gains, or without unjudged docs, it
    would get the value of those settings, or none. What is beyond a cutoff is not given to a tool: its sorting takes
    longer than its measuring.
    """
    groups: dict[str, _Together] = {}
    for measure in measures:
        options = {name: measure.params.get(name) for name in ("gains", "judged_only")}
        depth = None if options["judged_only"] else measure.params.get("cutoff")
        groups.setdefault(repr((options, depth)), _Together([], depth)).measures.append(measure)
    return list(groups.values())


class _Tool(NamedTuple):
    """A tool behind ir_measures, prepared for some queries."""

    group: _Together
    evaluator: Any


class _PreparedQueries(NamedTuple):
    """Queries that are measured at once, so that memory holds few rankings, and the tools prepared for them."""

    query_ids: Sequence[str]
    tools: Sequence[_Tool]

    def metrics(self, tag: str, scored: Mapping[str, Mapping[str, float]]) -> Iterator[Any]:
        """The metrics that the tools compute. Raises BadInput, in one sentence, where a tool fails."""
        for group, evaluator in self.tools:
            try:
                yield from evaluator.iter_calc(_first_docs(scored, group.depth))
            except FAILURES as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise BadInput(
                    f"{tag}: the tool behind one of {', '.join(map(str, group.measures))} failed on these qrels and "
                    f"this run ({reason}). Leave that measure out, or look at the grades."
                ) from error


QUERIES_AT_ONCE = 256


def _batches(query_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(query_ids), QUERIES_AT_ONCE):
        yield query_ids[start : start + QUERIES_AT_ONCE]


WHOLE_RANKING = 1_000_000_000
"""A cutoff that no ranking reaches."""


def _with_cutoff(measure: Any) -> Any:
    """NDCG of the whole ranking with a cutoff that no ranking reaches: the same value.

    trec_eval's nDCG without a cutoff takes the square of the highest grade in time (seconds for a grade of 100,000).
    """
    is_whole_ndcg = measure.NAME == "nDCG" and "cutoff" not in measure.params
    return measure(cutoff=WHOLE_RANKING) if is_whole_ndcg else measure


def _with_a_grade_table(grades: Mapping[str, int]) -> Mapping[str, int]:
    """A query's grades; where all are below 0, all 0, which counts the same: no doc is relevant.

    trec_eval has no table of grades for such a query: from -2 down it ends the process, and at -1 it counts with
    the table of the query before.
    """
    return grades if max(grades.values()) >= 0 else dict.fromkeys(grades, 0)


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
        self._names: dict[Any, list[str]] = {}
        for name in measures:  # RR@10 and MRR@10 are one
            self._names.setdefault(_with_cutoff(parse(name)), []).append(name)
        self._check_grades()
        self._numbers = {query_id: str(at) for at, query_id in enumerate(self.query_ids)}
        self._batches = [
            _PreparedQueries(query_ids, self._tools(query_ids))
            for query_ids in _batches(self.query_ids)
        ]

    def _tools(self, query_ids: Sequence[str]) -> list[_Tool]:
        numbered = {
            self._numbers[query_id]: _with_a_grade_table(self.relevance[query_id])
            for query_id in query_ids
        }
        return [
            _Tool(group, ir_measures.evaluator(group.measures, numbered))
            for group in _apart(self._names)
        ]

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
                    f"{len(without)} of {len(self.query_ids)} queries have no doc of grade {level} or above (first: "
                    f"{without[0]}): they count 0 in {', '.join(measures)}, as in trec_eval"
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
                        f"{tag}: {names[0]} counts pairs of a relevant doc and another, and of the first {len(top)} "
                        f"docs of query {query_id} {n_relevant} are relevant: there is no pair. Use another measure, "
                        "such as RR@10."
                    )

    def of(self, run: Run) -> Measured:
        """Every measure's value for every judged query (0 for a query the run leaves out)."""
        values = {name: dict.fromkeys(self.query_ids, 0.0) for name in self.measures}
        missing = []
        for batch in self._batches:
            scored = self._scored(run, batch.query_ids)
            missing += [
                query_id for query_id in batch.query_ids if self._numbers[query_id] not in scored
            ]
            self._check_pairs(run.tag, scored)
            seen: dict[int, tuple[Any, dict[str, float]]] = {}
            for metric in batch.metrics(run.tag, scored):
                key = id(metric.measure)  # hashing the measure itself would format it every time
                if key not in seen:  # kept beside its values, so that no other object gets its id
                    seen[key] = metric.measure, values[self._names[metric.measure][0]]
                seen[key][1][self.query_ids[int(metric.query_id)]] = float(metric.value)
        for first, *others in self._names.values():
            values |= dict.fromkeys(others, values[first])
        unjudged = tuple(sorted(run.rankings.keys() - self.relevance.keys()))
        return Measured(values, tuple(missing), unjudged)

    def _scored(self, run: Run, query_ids: Iterable[str]) -> dict[str, dict[str, float]]:
        """The rankings of these queries as the tools take them; the scores -1, -2, ... leave no tie to break."""
        return {
            self._numbers[query_id]: dict(zip(doc_ids, map(float, count(-1, -1)), strict=False))
            for query_id in query_ids
            if query_id in run.rankings and len(doc_ids := run.columns(query_id).doc_ids)
        }


def _first_docs(
    scored: Mapping[str, Mapping[str, float]], depth: int | None
) -> Mapping[str, Mapping[str, float]]:
    if depth is None:
        return scored
    return {query: dict(islice(docs.items(), depth)) for query, docs in scored.items()}


def measured(run: Run, qrels: Iterable[Qrel], measures: Sequence[str]) -> Measured:
    """Every measure's value for every judged query (0 for a query the run leaves out)."""
    return Measuring(qrels, measures).of(run)
