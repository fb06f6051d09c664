"""The steps that were run with their summaries, and the training of each ranker."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rankscope.report.stored import StoredResults, StoredStep
from rankscope.report.wording.numbers import clipped

Point = TypeVar("Point")

N_POINTS = 300
"""How many points of a training curve are drawn; more would only make the page larger."""

SMOOTHED_OVER = 20
"""A smoothed loss is the mean over a window of one twentieth of the log."""


@dataclass(frozen=True)
class LossPoint:
    """One logged loss and the mean of the losses around it."""

    update: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class RankerTraining:
    """The training of one ranker."""

    ranker: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    loss: tuple[LossPoint, ...]
    validation: tuple[tuple[float, float], ...]
    validation_measure: str
    kept_update: float | None


LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "train": ("notes",),
    "scratch": ("cloze_by_template",),
}
"""By the kind of the step: what of its summary stands beside its curves, or in a table of its own."""


@dataclass(frozen=True)
class StepRow:
    """One step of the plan, with its seconds and its summary."""

    name: str
    kind: str
    seconds: float
    facts: tuple[tuple[str, str], ...]


def trainings(results: StoredResults) -> list[RankerTraining]:
    """Every trained ranker, in the order of the steps; without a log, its facts alone."""
    summaries = {
        step.summary.get("ranker", step.name): step.summary
        for step in results.steps
        if step.kind == "train"
    }
    rankers = dict.fromkeys([*summaries, *results.training])
    return [
        _training(ranker, summaries.get(ranker, {}), results.training.get(ranker, ()))
        for ranker in rankers
    ]


def _training(
    ranker: str, summary: Mapping[str, Any], log: Sequence[Mapping[str, float]]
) -> RankerTraining:
    return RankerTraining(
        ranker=ranker,
        facts=_facts(summary, leave_out=("ranker", "notes")),
        notes=tuple(summary.get("notes", ())),
        loss=tuple(_losses(_finite(log, "loss"))),
        validation=tuple(_thinned(_finite(log, "validation"))),
        validation_measure=str(summary.get("validation_measure", "validation")),
        kept_update=summary.get("kept_update"),
    )


def _finite(log: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    return [(row["update"], row[key]) for row in log if key in row and math.isfinite(row[key])]


def _losses(points: Sequence[tuple[float, float]]) -> list[LossPoint]:
    half = len(points) // SMOOTHED_OVER // 2
    smoothed = []
    for place, (update, loss) in enumerate(points):
        around = [value for _, value in points[max(0, place - half) : place + half + 1]]
        smoothed.append(LossPoint(update, loss, math.fsum(around) / len(around)))
    return _thinned(smoothed)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most about N_POINTS of the points, evenly spaced, the last one always among them."""
    stride = math.ceil(len(points) / N_POINTS) or 1
    return list(reversed(points[::-1][::stride]))


def step_rows(results: StoredResults) -> list[StepRow]:
    """Every step with its seconds and its summary."""
    return [
        StepRow(step.name, step.kind, step.seconds, _step_facts(step)) for step in results.steps
    ]


def _step_facts(step: StoredStep) -> tuple[tuple[str, str], ...]:
    """The facts of a step, but for those that stand elsewhere: notes of a training, clozes by template."""
    return _facts(step.summary, leave_out=LEFT_OUT.get(step.kind, ()))


def _facts(
    summary: Mapping[str, Any], leave_out: Sequence[str] = ()
) -> tuple[tuple[str, str], ...]:
    return tuple(
        (key.removeprefix("n_").replace("_", " "), clipped(_fact(value), 200))
        for key, value in summary.items()
        if key not in leave_out
    )


def _fact(value: object) -> str:
    match value:
        case bool() | None:
            return {True: "yes", False: "no", None: "none"}[value]
        case float():
            return f"{value:.4g}"
        case Mapping():
            words = (f"{str(key).replace('_', ' ')} {_fact(entry)}" for key, entry in value.items())
            return ", ".join(words) or "none"
        case list() | tuple():
            return ", ".join(_fact(entry) for entry in value) or "none"
        case _:
            return str(value)
