"""Per-query values of IR measures, named as ir_measures writes them.

A run is handed over in its own total order (scores -1, -2, ...), because the tools behind
ir_measures break ties in opposite directions. The mean is over the judged queries: one that the
run leaves out counts 0 and is named.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any

import ir_measures

from rankscope.core.errors import UnknownChoice
from rankscope.core.records import Qrel, Run, ScoredDoc


@dataclass(frozen=True)
class Measured:
    """The values of one run: measure -> query_id -> value, for every judged query."""

    values: Mapping[str, Mapping[str, float]]
    missing_queries: tuple[str, ...]

    @property
    def n_queries(self) -> int:
        """How many queries are judged."""
        return len(next(iter(self.values.values()), {}))

    def means(self) -> dict[str, float]:
        """Measure -> mean over the judged queries."""
        return {
            measure: sum(by_query.values()) / len(by_query)
            for measure, by_query in self.values.items()
        }


def parse(measure: str) -> Any:
    """The ir_measures object of a name such as nDCG@10 or AP(rel=2)@100."""
    try:
        parsed: Any = ir_measures.parse_measure(measure)
        parsed.validate_params()
    except (NameError, ValueError, SyntaxError, TypeError, KeyError, AssertionError) as error:
        raise UnknownChoice(
            f"Unknown measure {measure!r} ({error}). Use a name of ir_measures, such as nDCG@10, "
            "RR@10, AP(rel=2)@100 or R@100."
        ) from error
    return parsed


def computable(measure: str) -> None:
    """Refuse a measure that cannot be had from qrels and a run, or whose tool is not installed."""
    parsed = parse(measure)
    qrels = [Qrel("1", "d1", 1), Qrel("1", "d2", 0)]
    run = [ScoredDoc("1", "d1", 2.0), ScoredDoc("1", "d2", 1.0)]
    try:
        ir_measures.calc_aggregate([parsed], qrels, run)
    except (ValueError, TypeError, ArithmeticError, OSError, SubprocessError) as error:
        reason = str(error).splitlines()[0]
        raise UnknownChoice(
            f"The measure {measure!r} cannot be computed from qrels and a run with the tools installed "
            f"here ({reason}). Use another, such as nDCG@10."
        ) from error


def strictly_ordered(ranking: Iterable[ScoredDoc]) -> list[ScoredDoc]:
    """The same order with scores -1, -2, ...: no tool can break a tie its own way."""
    return [doc._replace(score=-float(rank)) for rank, doc in enumerate(ranking, start=1)]


def measured(run: Run, qrels: Sequence[Qrel], measures: Sequence[str]) -> Measured:
    """Every measure's value for every judged query (0 for a query the run leaves out)."""
    judged = sorted({qrel.query_id for qrel in qrels})
    parsed = {parse(name): name for name in measures}
    scored = [
        doc for query_id in judged for doc in strictly_ordered(run.rankings.get(query_id, []))
    ]
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(judged, 0.0) for name in measures}
    for metric in ir_measures.iter_calc(list(parsed), qrels, scored):
        values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    missing = tuple(query_id for query_id in judged if not run.rankings.get(query_id))
    return Measured(values, missing)
