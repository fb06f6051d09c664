"""Verdicts that tied docs could change: those that are others where ties fall as badly, or as well, as they can.

Each system is judged once with its ties at worst against baselines with theirs at best, and once the other way round.
These are the two ends of the mean difference. In an order between them the differences may vary more, so a verdict that
is the same at both ends is not proven for every order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.words import counted
from rankscope.evaluate.arrays import Values
from rankscope.evaluate.evaluation import EvaluatedRun, Evaluation

Names = tuple[str, str, str]
"""Measure, system and baseline of a comparison."""
ValuesOf = Mapping[tuple[str, str], Sequence[Values]]
"""System and measure to the values per query, a mapping for each seed."""
Judge = Callable[[ValuesOf, ValuesOf], Sequence[Verdict]]
"""From the systems' values and the baselines' to the verdicts of a family, in its order."""
MOST = 4
"""Comparisons that have a note of their own."""


def notes(
    found: Evaluation, family: Sequence[Names], verdicts: Sequence[Verdict], judge: Judge
) -> Iterator[str]:
    """A note for each comparison whose verdict could be another by the order of tied docs."""
    worst, best = (_values(found, is_best=is_best) for is_best in (False, True))
    moved = {key for key, values in worst.items() if values != best[key]}
    at_stake = [
        at
        for at, (measure, system, baseline) in enumerate(family)
        if {(system, measure), (baseline, measure)} & moved
    ]
    if not at_stake:
        return
    extremes = [judge(worst, best), judge(best, worst)]
    told = []
    for at in at_stake:
        measure, system, baseline = family[at]
        others = [each[at] for each in extremes if each[at] != verdicts[at]]
        if others:
            told.append(
                f"{measure}, {system} - {baseline}: {verdicts[at]} as tied docs stand, and "
                f"{' or '.join(dict.fromkeys(others))} in other orders of them"
            )
    yield from told[:MOST]
    if len(told) > MOST:
        more = counted(len(told) - MOST, "more verdict", "more verdicts")
        yield f"{more} could be another in other orders of tied docs"


def _values(found: Evaluation, *, is_best: bool) -> ValuesOf:
    """The values of all systems where ties fall as well, or as badly, as they can."""
    return {
        (system, measure): [_value(run, measure, is_best=is_best) for run in runs]
        for system, runs in found.systems().items()
        for measure in found.measures
    }


def _value(run: EvaluatedRun, measure: str, *, is_best: bool) -> Values:
    values = run.measured.values[measure]
    if run.ties is None:
        return values
    of_tied = run.ties.best_values if is_best else run.ties.worst_values
    return {**values, **of_tied[measure]}
