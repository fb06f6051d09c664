"""The tools behind ir_measures: which measures share a call, which queries and docs a call gets, and how it fails."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, final

import ir_measures

from rankscope.core.errors import BadInput
from rankscope.core.trec.run_blocks import JoinedIds
from rankscope.evaluate.measures import FAILURES, parse

QUERIES_AT_ONCE = 256
"""Memory holds the rankings of so many queries as the tools take them."""

WHOLE_RANKING = 1_000_000_000
"""A cutoff that no ranking reaches, and that nobody may ask for (`measures.LIMITS`)."""


_STAND_IN = "!"
FEW = 20
"""Where a ranking has so many docs for each judged one, these are looked for; else all are parted and looked at."""


@lru_cache(maxsize=32)
def _stand_ins(n: int) -> tuple[list[str], list[float]]:
    """Names in the order of their ranks, and falling scores."""
    return [f"{_STAND_IN}{place:09}" for place in range(n)], [-1.0 - place for place in range(n)]


def as_tools_take(doc_ids: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    """A ranking, best first, as docs with falling scores.

    Docs that nobody judged get names that are the same for all rankings and in the order of the ranks. So no text is
    made for each, and trec_eval's sorting of names finds them sorted.
    """
    names, scores = _stand_ins(1 << len(doc_ids).bit_length())
    if any(doc_id.startswith(_STAND_IN) for doc_id in grades):
        return dict(zip(doc_ids, scores, strict=False))
    return dict(zip(_named_where_judged(doc_ids, grades, names), scores, strict=False))


def _named_where_judged(
    doc_ids: Sequence[str], grades: Mapping[str, int], names: Sequence[str]
) -> list[str]:
    """Judged docs by their ids, others by the name of their rank."""
    if not isinstance(doc_ids, JoinedIds) or FEW * len(grades) > len(doc_ids):
        pairs = zip(doc_ids, names, strict=False)
        return [doc_id if doc_id in grades else name for doc_id, name in pairs]
    mixed = [*names[: len(doc_ids)]]
    for doc_id in grades:
        place = doc_ids.place_of(doc_id)
        if place is not None:
            mixed[place] = doc_id
    return mixed


def named(measures: Sequence[str]) -> dict[Any, list[str]]:
    """The measure as a tool gets it -> its names: RR@10 and MRR@10 are one."""
    names: dict[Any, list[str]] = {}
    for name in measures:
        names.setdefault(_with_cutoff(parse(name)), []).append(name)
    return names


def _with_cutoff(measure: Any) -> Any:
    """NDCG of the whole ranking with a cutoff that no ranking reaches: the same value.

    trec_eval's nDCG without a cutoff takes the square of the highest grade in time (seconds for a grade of 100,000).
    """
    is_trec_evals = measure.NAME == "nDCG" and measure.params.get("dcg", "log2") == "log2"
    is_whole = is_trec_evals and "cutoff" not in measure.params
    return measure(cutoff=WHOLE_RANKING) if is_whole else measure


class ToolCall(NamedTuple):
    """Measures that share one call of a tool."""

    measures: Mapping[Any, str]
    """Measure -> its name in a message."""
    depth: int | None
    """The docs of a ranking that they look at; None for all."""

    def grades(self, relevance: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
        """The grades as the tools take them.

        trec_eval has no table of grades for a query whose grades are all below 0: from -2 down it ends the process, and
        at -1 it counts with the table of the query before. No doc of such a query is relevant, as if all were 0; with
        other gains, which may be those of grade 0, it is left out, and so is 0 too.
        """
        has_gains = any(measure.params.get("gains") is not None for measure in self.measures)
        taken: dict[str, Mapping[str, int]] = {}
        for query, grades in relevance.items():
            if max(grades.values()) >= 0:
                taken[query] = grades
            elif not has_gains:
                taken[query] = dict.fromkeys(grades, 0)
        return taken

    def first_docs(
        self, scored: Mapping[str, Mapping[str, float]]
    ) -> Mapping[str, Mapping[str, float]]:
        """The docs that the measures look at."""
        if self.depth is None:
            return scored
        return {query: dict(islice(docs.items(), self.depth)) for query, docs in scored.items()}


def calls(names: Mapping[Any, Sequence[str]]) -> list[ToolCall]:
    """The measures in groups that can share one call of a tool.

    ir_measures adds a plain nDCG or NumRet to any call: in a call with other gains, or without unjudged docs, it
    would get the value of those settings, or none. What is beyond all cutoffs of a group is not given to a tool: its
    sorting takes longer than its measuring.
    """
    groups: dict[str, list[Any]] = {}
    for measure in names:
        options = {name: measure.params.get(name) for name in ("gains", "judged_only")}
        groups.setdefault(repr(options), []).append(measure)
    return [
        ToolCall({measure: names[measure][0] for measure in group}, _depth(group))
        for group in groups.values()
    ]


def _depth(measures: Sequence[Any]) -> int | None:
    """The docs of a ranking that any of the measures looks at; None for all."""
    cutoffs = [measure.params.get("cutoff", WHOLE_RANKING) for measure in measures]
    is_judged_only = any(measure.params.get("judged_only") for measure in measures)
    deepest: int = max(cutoffs)
    return None if is_judged_only or deepest == WHOLE_RANKING else deepest


@final
class PreparedQueries:
    """Queries that are measured at once, and the tools prepared for them."""

    def __init__(
        self, relevance: Mapping[str, Mapping[str, int]], calls_of_tools: Sequence[ToolCall]
    ) -> None:
        self._evaluators = [
            (call, ir_measures.evaluator(list(call.measures), call.grades(relevance)))
            for call in calls_of_tools
        ]

    def metrics(self, tag: str, scored: Mapping[str, Mapping[str, float]]) -> Iterator[Any]:
        """The metrics that the tools compute. Raises BadInput, in one sentence, where a tool fails."""
        for call, evaluator in self._evaluators:
            try:
                yield from evaluator.iter_calc(call.first_docs(scored))
            except FAILURES as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise BadInput(
                    f"{tag}: the tool behind one of {', '.join(call.measures.values())} failed on these qrels and "
                    f"this run ({reason}). Leave that measure out, or look at the grades."
                ) from error
