"""What systems cost in words: a row for each, and a sentence for each ranker beside an LLM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.costs import SystemCost
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.stored import place_name
from rankscope.report.wording.numbers import p_text, signed, with_ends
from rankscope.report.wording.verdicts import VERDICTS, Mark, interval

Costs = Mapping[tuple[Place, str], SystemCost]
NOTHING = "\u2013"
COLUMNS = (
    "system",
    "requests a query",
    "tokens in a query",
    "tokens out a query",
    "seconds a query",
    "money a query",
    "seconds once",
    "money once",
)
"""The columns of a table of costs, before the means."""


@dataclass(frozen=True)
class CostedPair:
    """A ranker compared with an LLM: the verdict, and how much less or more a query takes."""

    mark: Mark
    sentence: str


def costed_place(evaluation: EvaluationRecord, costs: Costs) -> Place | None:
    """The place whose costs are shown: the first at which an LLM answered. None without one."""
    return next(
        (
            place
            for place in evaluation.places
            if any(at == place and cost.answers for (at, _), cost in costs.items())
        ),
        None,
    )


def rows(
    evaluation: EvaluationRecord, costs: Costs, place: Place
) -> tuple[list[str], list[list[str]]]:
    """A row for each system of a place whose cost is known. A column that would be empty is left out."""
    measure = evaluation.headline
    means = {r.system: r.means[measure] for r in evaluation.results if r.place == place}
    table = [
        [*_cells(system, costs[place, system]), f"{mean:.4f}"]
        for system, mean in means.items()
        if (place, system) in costs
    ]
    kept = [
        at for at in range(len(COLUMNS) + 1) if any(row[at] != NOTHING for row in table) or at == 0
    ]
    columns = [*COLUMNS, measure]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in table]


def _cells(system: str, cost: SystemCost) -> list[str]:
    answers, n = cost.answers, max(1, cost.n_queries)
    asked = (
        [NOTHING] * 3
        if answers is None
        else [
            f"{answers.n_requests / n:,.1f}",
            f"{answers.tokens_in / n:,.0f}",
            f"{answers.tokens_out / n:,.0f}",
        ]
    )
    return [
        system,
        *asked,
        amount(cost.seconds_a_query),
        NOTHING if cost.money_a_query is None else amount(cost.money_a_query),
        NOTHING if cost.seconds_once is None else amount(cost.seconds_once),
        NOTHING if cost.money_once is None else amount(cost.money_once),
    ]


def points(
    evaluation: EvaluationRecord, costs: Costs, place: Place
) -> tuple[str, list[dict[str, object]]]:
    """The unit of the figure, and its points: money where it is known of all systems of the place, else seconds."""
    here = {system: cost for (at, system), cost in costs.items() if at == place}
    in_money = all(cost.money_a_query for cost in here.values())
    measure = evaluation.headline
    means = {r.system: r.means[measure] for r in evaluation.results if r.place == place}
    found: list[dict[str, object]] = [
        {
            "system": system,
            "cost": here[system].money_a_query if in_money else here[system].seconds_a_query,
            "mean": mean,
            "is_llm": here[system].answers is not None,
        }
        for system, mean in means.items()
        if system in here
    ]
    return "Money" if in_money else "Seconds", [point for point in found if point["cost"]]


def amount(number: float) -> str:
    """A number to three significant digits, without an exponent."""
    if number == 0:
        return "0"
    digits = max(0, 2 - _magnitude(number))
    return f"{number:,.{digits}f}"


def _magnitude(number: float) -> int:
    return int(f"{number:.2e}".partition("e")[2])


def pairs(evaluation: EvaluationRecord, costs: Costs) -> list[CostedPair]:
    """A sentence for each comparison of a ranker with an LLM on the first measure: its verdict, its test, and the costs."""
    found = []
    for row in evaluation.comparisons:
        if row.place is None or row.measure != evaluation.headline:
            continue
        names = [name for name in (row.system, row.baseline) if (row.place, name) in costs]
        asked = [name for name in names if costs[row.place, name].answers]
        if (len(names), len(asked)) != (2, 1):
            continue
        ranker, llm = (_Costed(name, costs[row.place, name]) for name in sorted(names, key=asked.count))  # fmt: skip
        sentence = f"{_verdict(row, evaluation)} {_less(ranker, llm)}{_once(ranker, llm)}"
        found.append(CostedPair(VERDICTS[row.judged.verdict], sentence))
    return found


class _Costed(NamedTuple):
    name: str
    cost: SystemCost


def _verdict(row: JudgedComparison, evaluation: EvaluationRecord) -> str:
    judged, where = row.judged, place_name(row.place, evaluation)
    numbers = f"{row.measure} {signed(judged.difference)}, {with_ends(interval(evaluation), judged.interval)}, corrected p {p_text(judged.corrected_p)}"
    said = {
        Verdict.EQUIVALENT: f"{row.system} is equivalent to {row.baseline}",
        Verdict.CANNOT_TELL: f"We cannot tell {row.system} from {row.baseline}",
    }.get(judged.verdict, f"{row.system} is {judged.verdict} than {row.baseline}")
    if judged.verdict is Verdict.CANNOT_TELL and judged.smallest_detectable is not None:
        numbers += f", minimum detectable effect {judged.smallest_detectable:.3f}"
    return f"{said} on {where} ({numbers})."


def _less(ranker: _Costed, llm: _Costed) -> str:
    """How many times less, or more, a query of the ranker takes than one of the LLM."""
    mine, theirs = ranker.cost.seconds_a_query, llm.cost.seconds_a_query
    told = f"A query takes {ranker.name} {amount(mine)} s and {llm.name} {amount(theirs)} s{_times(mine, theirs)}"
    if ranker.cost.money_a_query is None or llm.cost.money_a_query is None:
        return f"{told}."
    mine, theirs = ranker.cost.money_a_query, llm.cost.money_a_query
    return f"{told}, and costs {amount(mine)} and {amount(theirs)}{_times(mine, theirs)}."


def _times(mine: float, theirs: float) -> str:
    """The ratio of two numbers in words; nothing where one is zero."""
    if not mine or not theirs:
        return ""
    ratio, word = (theirs / mine, "less") if theirs >= mine else (mine / theirs, "more")
    return f" ({amount(ratio)} times {word})"


def _once(ranker: _Costed, llm: _Costed) -> str:
    """What the ranker took before its first query, and after how many queries that is made up for."""
    mine, theirs = ranker.cost, llm.cost
    if mine.seconds_once is None:
        return ""
    lists = f", its teacher's {mine.lists.n_requests:,} answers among them" if mine.lists else ""
    once = f" Before its first query it took {amount(mine.seconds_once)} s{lists}"
    unit, spent, saved = "time", mine.seconds_once, theirs.seconds_a_query - mine.seconds_a_query
    if None not in (mine.money_once, mine.money_a_query, theirs.money_a_query):
        unit, spent = "money", mine.money_once or 0.0
        saved = (theirs.money_a_query or 0.0) - (mine.money_a_query or 0.0)
    if saved <= 0:
        return f"{once}."
    return f"{once}: in {unit}, {amount(spent / saved)} queries of {llm.name} make up for that."


CAPTION = (
    "A query's seconds are those of ranking the docs of the first stage: on the machine that ranked, loading included; of an "
    "LLM, as its server answered, its requests one after another. Seconds once: the training of all stages, and the LLM's "
    "answers that they learnt from. Another machine or server has other costs, and the verdict is of these queries."
)
