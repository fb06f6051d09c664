"""Per-query values of IR measures, named as ir_measures writes them.

The tools behind ir_measures break ties in opposite directions, so they get a run in its own total order
(scores -1, -2, ...). They get queries by number, because gdeval takes `PLAIN-2` for query 2. The mean is over the
judged queries: a query that the run leaves out counts 0 and is named.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from operator import itemgetter
from subprocess import SubprocessError
from typing import Any, final

import ir_measures

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.fields import HIGHEST_RELEVANCE, shown
from rankscope.core.records import Qrel, Run, ScoredDoc

FAILURES = (
    ValueError, TypeError, ArithmeticError, LookupError, OSError, RuntimeError, SubprocessError,
)  # fmt: skip
"""The exceptions that the tools behind ir_measures raise."""

DOC_ID = itemgetter(ScoredDoc._fields.index("doc_id"))


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


def parse(measure: str) -> Any:
    """The ir_measures object of a name such as nDCG@10 or AP(rel=2)@100."""
    try:
        parsed: Any = ir_measures.parse_measure(measure)
        parsed.validate_params()
    except (NameError, ValueError, SyntaxError, TypeError, KeyError, AssertionError) as error:
        reason = "no parameter is negative" if re.search(r"[@=:]\s*-", measure) else str(error)
        if needed := re.match(r"invalid param (\w+)=<object object", reason):
            reason = f"it needs `{needed[1]}`"
        raise UnknownChoice(
            f"Unknown measure {measure!r} ({reason}). Use a name of ir_measures, such as nDCG@10, "
            "RR@10, AP(rel=2)@100 or R@100."
        ) from error
    except (
        AttributeError,
        RecursionError,
        MemoryError,
    ) as error:  # what the parser was not written for
        raise UnknownChoice(
            f"Unknown measure {shown(measure)}: it cannot be parsed. Use a name of ir_measures, such as nDCG@10."
        ) from error
    for name, value in parsed.params.items():
        _check_parameter(measure, name, value)
    return parsed


LIMITS: Mapping[str, tuple[float, float, str]] = {
    "cutoff": (1, 1_000_000, "a cutoff is a number of docs, from 1 to 1,000,000"),
    "rel": (
        1,
        HIGHEST_RELEVANCE,
        "`rel` is the lowest relevant grade, 1 or more: 0 counts docs that are not",
    ),
    "min_rel": (0, HIGHEST_RELEVANCE, "`min_rel` is a grade, 0 or more"),
    "max_rel": (1, HIGHEST_RELEVANCE, "`max_rel` is the highest grade, 1 or more"),
    "p": (1e-9, 1 - 1e-9, "`p` lies between 0 and 1"),
    "alpha": (0, 1, "`alpha` lies from 0 to 1"),
    "beta": (1e-9, 1e9, "`beta` is above 0"),
    "recall": (0, 1, "a level of recall lies from 0 to 1"),
    "T": (1e-9, 1e9, "`T` is above 0"),
}
"""The range of each parameter. Outside it the tools behind ir_measures divide by zero or end the process, so they
never see such a value."""


def _check_parameter(measure: str, name: str, value: Any) -> None:
    """Refuse a parameter out of range. Other parameters are flags and choices, which ir_measures checks."""
    low, high, meaning = LIMITS.get(name, (0, 0, ""))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if meaning and not (is_number and low <= value <= high):
        raise UnknownChoice(f"The measure {measure!r}: {meaning}. Found {shown(value)}.")
    if name == "gains" and not _are_gains(value):
        raise UnknownChoice(
            f"The measure {measure!r}: `gains` are grades with a whole number from 0 each, as in "
            f"{{0: 0, 1: 1, 2: 3}}. Found {shown(value)}."
        )
    if name == "recall" and round(value, 2) != value:
        raise UnknownChoice(
            f"The measure {measure!r}: trec_eval knows levels of recall to two digits. Give {value:.2f}."
        )


def _check_together(measure: str, parsed: Any) -> None:
    """Refuse parameters that leave nothing to compute."""
    low, high = (parsed.params.get(name) for name in ("min_rel", "max_rel"))
    if high is not None and (low or 0) >= high:
        raise UnknownChoice(f"The measure {measure!r}: `max_rel` must be above `min_rel`.")
    if parsed.NAME == "Accuracy" and parsed.params.get("cutoff") == 1:
        raise UnknownChoice(
            f"The measure {measure!r} counts pairs of docs, and its cutoff leaves one doc. Give 2 or more."
        )


def _are_gains(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            type(number) is int
            and abs(number) <= HIGHEST_RELEVANCE
            and (number >= 0 or number in value)
            for pair in value.items()
            for number in pair
        )
    )


@cache
def computable(measure: str) -> None:
    """Refuse a measure that cannot be computed from qrels and a run, or whose tool is not installed."""
    parsed = parse(measure)
    _check_together(measure, parsed)
    qrels = [Qrel("1", "d1", 1), Qrel("1", "d2", 0)]
    run = [ScoredDoc("1", "d1", 2.0), ScoredDoc("1", "d2", 1.0)]
    try:
        ir_measures.calc_aggregate([parsed], qrels, run)
    except ValueError as error:
        needed = re.findall(r"^ - (\S+)", str(error), re.MULTILINE)
        reason = (str(error).splitlines() or ["?"])[0]
        if needed:
            reason = f"it needs {' or '.join(needed)}"
        elif reason.startswith("Unsupported measures"):
            reason = "no tool of ir_measures has it with these parameters"
        raise UnknownChoice(
            f"The measure {measure!r} cannot be computed from qrels and a run with the tools installed "
            f"here ({reason}). Use another, such as nDCG@10{', or install that' if needed else ''}."
        ) from error
    except (
        TypeError,
        ArithmeticError,
        LookupError,
        OSError,
        RuntimeError,
        SubprocessError,
    ) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnknownChoice(
            f"The measure {measure!r} cannot be computed from qrels and a run with the tools installed "
            f"here ({reason}). Use another, such as nDCG@10."
        ) from error


HIGHEST_OF_GDEVAL = 4


def _is_gdevals(measure: Any) -> bool:
    is_exponential = measure.NAME == "ERR" or measure.params.get("dcg") == "exp-log2"
    return is_exponential and "cutoff" in measure.params


def _apart(measures: Iterable[Any]) -> list[list[Any]]:
    """The measures in groups that can share one call of a tool.

    ir_measures adds a plain nDCG or NumRet to any call: in a call with other gains, or without unjudged docs, it
    would get the value of those settings, or none.
    """
    groups: dict[str, list[Any]] = {}
    for measure in measures:
        options = {name: measure.params.get(name) for name in ("gains", "judged_only")}
        groups.setdefault(repr(options), []).append(measure)
    return list(groups.values())


def with_relevance_level(measure: str, level: int) -> str:
    """The measure with `rel=level`, where it takes a relevance level and its name does not give one."""
    parsed = parse(measure)
    takes_level = "rel" in parsed.SUPPORTED_PARAMS and parsed.NAME not in {"NumRet", "NumRel"}
    if level == 1 or not takes_level or "rel" in parsed.params:
        return measure
    return str(parsed(rel=level))


def level_of(measure: str) -> int | None:
    """The lowest grade that a measure counts as relevant; None for a measure that does not count relevant docs."""
    parsed = parse(measure)
    if parsed.NAME in {"Judged", "NumQ", "NumRel", "NumRet"}:
        return None
    return int(parsed.params.get("rel", 1))


BOUNDED = frozenset(
    [
        "AP",
        "AP_IA",
        "Accuracy",
        "Bpref",
        "Compat",
        "ERR",
        "ERR_IA",
        "IPrec",
        "Judged",
        "nDCG",
        "nERR_IA",
        "NERR8",
        "NERR9",
        "NERR10",
        "NERR11",
        "nNRBP",
        "P",
        "P_IA",
        "R",
        "RBP",
        "Rprec",
        "RR",
        "SetAP",
        "SetF",
        "SetP",
        "SetR",
        "SetRelP",
        "StRecall",
        "Success",
        "alpha_nDCG",
        "infAP",
    ]
)
"""The measures of ir_measures whose values lie between 0 and 1."""


def span(measure: str) -> float | None:
    """The largest difference of two values: 1 between 0 and 1; None for a measure without bounds."""
    return 1.0 if parse(measure).NAME in BOUNDED else None


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
            self._names.setdefault(parse(name), []).append(name)
        self._check_grades()
        self._numbers = {query_id: str(at) for at, query_id in enumerate(self.query_ids)}
        numbered = {self._numbers[query_id]: docs for query_id, docs in relevance.items()}
        self._evaluators = [
            (group, ir_measures.evaluator(group, numbered)) for group in _apart(self._names)
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

    def _metrics(self, tag: str, scored: Mapping[str, Mapping[str, float]]) -> Iterator[Any]:
        """The metrics that the tools compute. Raises BadInput, in one sentence, where a tool fails."""
        for measures, evaluator in self._evaluators:
            try:
                yield from evaluator.iter_calc(scored)
            except FAILURES as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise BadInput(
                    f"{tag}: the tool behind one of {', '.join(map(str, measures))} failed on these qrels and this "
                    f"run ({reason}). Leave that measure out, or look at the grades."
                ) from error

    def of(self, run: Run) -> Measured:
        """Every measure's value for every judged query (0 for a query the run leaves out)."""
        scored = {
            self._numbers[query_id]: dict(
                zip(map(DOC_ID, ranking), map(float, count(-1, -1)), strict=False)
            )
            for query_id in self.query_ids
            if (ranking := run.rankings.get(query_id))
        }  # -1, -2, ...: no tool can break a tie its own way
        self._check_pairs(run.tag, scored)
        values = {name: dict.fromkeys(self.query_ids, 0.0) for name in self.measures}
        seen: dict[int, tuple[Any, dict[str, float]]] = {}
        for metric in self._metrics(run.tag, scored):
            key = id(metric.measure)  # hashing the measure itself would format it every time
            if key not in seen:  # kept beside its values, so that no other object gets its id
                seen[key] = metric.measure, values[self._names[metric.measure][0]]
            seen[key][1][self.query_ids[int(metric.query_id)]] = float(metric.value)
        for first, *others in self._names.values():
            values |= dict.fromkeys(others, values[first])
        missing = tuple(query_id for query_id in self.query_ids if not run.rankings.get(query_id))
        unjudged = tuple(sorted(run.rankings.keys() - self.relevance.keys()))
        return Measured(values, missing, unjudged)


def measured(run: Run, qrels: Iterable[Qrel], measures: Sequence[str]) -> Measured:
    """Every measure's value for every judged query (0 for a query the run leaves out)."""
    return Measuring(qrels, measures).of(run)
