"""The systems of a study: how each was made, what its training cost, and what it reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.core.judged.evaluation import EvaluationRecord, SystemResult
from rankscope.report.stored import StoredResults


@dataclass(frozen=True)
class StageRow:
    """One stage of training in a lineage."""

    ranker: str
    loss: str
    n_queries: int
    updates: str
    """The update that was kept, of all."""
    learning_rate: float | None
    seconds: float


@dataclass(frozen=True)
class SystemRow:
    """A system with its lineage, cost and quality."""

    system: str
    start: str
    """The ranker that its first stage started from; its own name, if nothing was trained."""
    stages: tuple[StageRow, ...]
    """The stages in order; of a system with several seeds, those of the first."""
    seconds: float
    """Of all its stages."""
    mean: float | None
    """Of the headline measure at the study's first place; None where it was not measured."""


def systems(results: StoredResults) -> list[SystemRow]:
    """Every system, in the order of the results; none for run files, whose making nobody knows."""
    if not results.steps:
        return []
    trained = _trained(results)
    place = results.evaluation.places[0]
    rows: dict[str, SystemRow] = {}
    for result in results.evaluation.results:
        if result.system in rows:
            continue
        start, stages = _lineage(_first_ranker(result), trained)
        rows[result.system] = SystemRow(
            result.system,
            start,
            stages,
            sum(stage.seconds for stage in stages),
            _mean(results.evaluation, result.system, place),
        )
    return list(rows.values())


def _first_ranker(result: SystemResult) -> str:
    return result.runs[0].name if result.runs else result.system


def _trained(results: StoredResults) -> dict[str, tuple[Mapping[str, Any], float]]:
    """Ranker to its training's summary and seconds."""
    return {
        step.summary["ranker"]: (step.summary, step.seconds)
        for step in results.steps
        if step.kind == "train" and "ranker" in step.summary
    }


def _lineage(
    ranker: str, trained: Mapping[str, tuple[Mapping[str, Any], float]]
) -> tuple[str, tuple[StageRow, ...]]:
    """The ranker that the first stage started from, and the stages."""
    stages: list[StageRow] = []
    while ranker in trained:
        summary, seconds = trained[ranker]
        updates = summary["updates"]
        stages.append(
            StageRow(
                ranker,
                summary["loss"],
                summary["n_samples"],
                f"{summary.get('kept_update') or updates} of {updates}",
                summary.get("learning_rate"),
                seconds,
            )
        )
        ranker = summary["start"]
    return ranker, tuple(reversed(stages))


def _mean(evaluation: EvaluationRecord, system: str, place: Any) -> float | None:
    found: Sequence[float] = [
        result.means[evaluation.headline]
        for result in evaluation.results
        if (result.system, result.place) == (system, place)
    ]
    return found[0] if found else None
