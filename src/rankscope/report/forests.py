"""The comparisons that have an interval, grouped into forest plots."""

from dataclasses import dataclass

from rankscope.core.judged.comparisons import JudgedComparison, Place
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.wording.verdicts import interval


@dataclass(frozen=True)
class Forest:
    """Differences with their intervals, for one measure in one place."""

    place: Place
    measure: str
    margin: float | None
    rows: tuple[JudgedComparison, ...]
    interval: str
    """The name of the intervals."""


def forests(evaluation: EvaluationRecord) -> list[Forest]:
    """The comparisons that have an interval, by measure, the headline measure first, and by place."""
    drawn = []
    for measure in evaluation.measures:
        for place in evaluation.places:
            rows = tuple(
                row
                for row in evaluation.comparisons
                if (row.measure, row.place) == (measure, place) and row.judged.interval.is_known
            )
            if rows:
                margins = {row.judged.margin for row in rows}
                margin = (
                    margins.pop() if len(margins) == 1 else None
                )  # relative margins differ between comparisons
                drawn.append(Forest(place, measure, margin, rows, interval(evaluation)))
    return drawn
