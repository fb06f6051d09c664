"""Verdicts as sentences, which the page shows first."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rankscope.core.judged.comparisons import JudgedComparison, JudgedDifference, Place, Verdict
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.stored import is_main, place_name
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import n_seeds, signed, with_ends
from rankscope.report.wording.verdicts import VERDICTS, Mark, interval


@dataclass(frozen=True)
class Finding:
    """A verdict as one sentence."""

    mark: Mark
    sentence: str


@dataclass(frozen=True)
class Headline:
    """The findings of one place, and a tally of their verdicts."""

    place: Place
    tally: str
    findings: tuple[Finding, ...]


def headlines(evaluation: EvaluationRecord) -> list[Headline]:
    """For each place, a sentence for each main comparison on the first measure, in the stored order."""
    by_place = []
    for place in evaluation.places:
        here = [row for row in evaluation.comparisons if row.place == place]
        rows = [row for row in here if is_main(row, evaluation)]
        if rows:
            findings = tuple(
                Finding(VERDICTS[row.judged.verdict], _sentence(row, evaluation)) for row in rows
            )
            by_place.append(Headline(place, _tally(rows), findings))
    return by_place


def tally(evaluation: EvaluationRecord) -> str:
    """A tally of the verdicts of all comparisons, all measures together."""
    rows = evaluation.comparisons
    every = (
        "The one comparison"
        if len(rows) == 1
        else f"All {len(rows)} comparisons, every measure and baseline"
    )
    return f"{every}: {_tally(rows)}."


def _tally(rows: Iterable[JudgedComparison]) -> str:
    counts = Counter(row.judged.verdict for row in rows)
    return ", ".join(f"{counts[Verdict(word)]} {word}" for word in VERDICTS)


def _sentence(row: JudgedComparison, evaluation: EvaluationRecord) -> str:
    judged, pair = row.judged, (row.system, row.baseline)
    where = place_name(row.place, evaluation)
    numbers = f"{row.measure} {signed(judged.difference)}, {with_ends(interval(evaluation), judged.interval)}"
    if judged.n_seeds != (1, 1):
        numbers += f", {seeds_against(judged)}"
    unseen = f" {caution}" if (caution := cautions.unseen(judged)) else ""
    if judged.verdict is Verdict.CANNOT_TELL:
        return (
            f"We cannot tell {' from '.join(pair)} on {where} ({numbers}).{unseen}"
            f"{_could_have_shown(row, evaluation.n_corrected_for)}"
        )
    carried = f"; {caution}" if (caution := cautions.carried(judged)) else ""
    if judged.verdict is Verdict.EQUIVALENT:
        margin = "" if judged.margin is None else f", margin ±{judged.margin:g}"
        return f"{' is equivalent to '.join(pair)} on {where} ({numbers}{margin}){carried}.{unseen}"
    return f"{f' is {judged.verdict} than '.join(pair)} on {where} ({numbers}){carried}.{unseen}"


def seeds_against(judged: JudgedDifference) -> str:
    """The numbers of seeds of system and baseline, in words: 3 seeds against 1."""
    system, baseline = judged.n_seeds
    return f"{n_seeds(system)} against {baseline}"


def _could_have_shown(row: JudgedComparison, n_tests: int) -> str:
    judged = row.judged
    if judged.smallest_detectable is None:
        return ""
    among = "" if n_tests == 1 else f" as one of {n_tests} comparisons"
    if cautions.is_beyond(judged.smallest_detectable, judged.span):
        return (
            f" No difference that {row.measure} allows is detectable with these {judged.n_queries} queries{among} "
            "(80\u00a0% power)."
        )
    effect = (
        f" The minimum detectable effect of these {judged.n_queries} queries{among} is "
        f"{judged.smallest_detectable:.3f} (80\u00a0% power)"
    )
    if judged.queries_needed is None:
        return f"{effect}."
    return f"{effect}; an effect as large as the margin needs {judged.queries_needed:,} queries."


def unseen(evaluation: EvaluationRecord) -> list[str]:
    """A sentence for each comparison in which nearly all queries have the same difference."""
    return [
        f"{row.measure} on {place_name(row.place, evaluation)}, {row.system} \u2212 {row.baseline}: {caution}"
        for row in evaluation.comparisons
        if (caution := cautions.unseen(row.judged))
    ]
