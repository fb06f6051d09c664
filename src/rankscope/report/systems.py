"""The systems of a study: how each was made, what training and scoring cost, and what it reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rankscope.core.judged.evaluation import EvaluationRecord, SystemResult
from rankscope.report.stored import StoredResults, StoredStep


@dataclass(frozen=True)
class StageRow:
    """One stage of training in a lineage."""

    ranker: str
    loss: str
    n_queries: int
    updates: str
    """The update that was kept, of all."""
    learning_rate: float | None
    n_pairs: int | None
    """Pairs of a query and a doc, of all updates; None where they were not counted."""
    seconds: float
    device: str


@dataclass(frozen=True)
class SystemRow:
    """A system with its lineage, cost and quality."""

    system: str
    start: str
    """The ranker that its first stage started from; its own name, if nothing was trained."""
    stages: tuple[StageRow, ...]
    """The stages in order; of a system with several seeds, those of the first."""
    n_pairs: int | None
    """Of all its stages; None where nothing was trained, or they were not counted."""
    seconds: float
    """Of all its stages."""
    n_scored: int | None
    """Docs scored for the queries of the study's first place; None for a first stage, and where they were not counted."""
    scoring_seconds: float | None
    """Of scoring them, loading included; None for a first stage."""
    device: str
    """Of its stages and of the scoring; empty where no manifest tells."""
    mean: float | None
    """Of the headline measure at the study's first place; None where it was not measured."""


def systems(results: StoredResults) -> list[SystemRow]:
    """Every system, in the order of the results; none for run files, whose making nobody knows."""
    if not results.steps:
        return []
    trained = _trained(results)
    place = results.evaluation.places[0]
    made = {step.name: step for step in results.steps}
    rows: dict[str, SystemRow] = {}
    for result in results.evaluation.results:
        if result.system in rows:
            continue
        start, stages = _lineage(_first_ranker(result), trained)
        scoring = _scoring(result, made) if result.place == place else None
        pairs = [stage.n_pairs for stage in stages if stage.n_pairs is not None]
        devices = [*(stage.device for stage in stages), _device(scoring)]
        rows[result.system] = SystemRow(
            result.system,
            start,
            stages,
            n_pairs=sum(pairs) if stages and len(pairs) == len(stages) else None,
            seconds=sum(stage.seconds for stage in stages),
            n_scored=scoring.summary.get("n_scored_docs") if scoring else None,
            scoring_seconds=scoring.seconds if scoring else None,
            device=", ".join(dict.fromkeys(filter(None, devices))),
            mean=_mean(results.evaluation, result.system, place),
        )
    return list(rows.values())


def _first_ranker(result: SystemResult) -> str:
    return result.runs[0].name if result.runs else result.system


def _scoring(result: SystemResult, made: Mapping[str, StoredStep]) -> StoredStep | None:
    """The step that scored a system's (first) run; None where no ranker did."""
    step = made.get(PurePosixPath(result.run).parent.name)
    return step if step is not None and step.kind == "rerank" else None


def _device(step: StoredStep | None) -> str:
    return str(step.made.get("device", "")) if step is not None else ""


def _trained(results: StoredResults) -> dict[str, StoredStep]:
    """Ranker to its training."""
    return {
        step.summary["ranker"]: step
        for step in results.steps
        if step.kind == "train" and "ranker" in step.summary
    }


def _lineage(ranker: str, trained: Mapping[str, StoredStep]) -> tuple[str, tuple[StageRow, ...]]:
    """The ranker that the first stage started from, and the stages."""
    stages: list[StageRow] = []
    while ranker in trained:
        summary = trained[ranker].summary
        updates = summary["updates"]
        stages.append(
            StageRow(
                ranker,
                summary["loss"],
                summary["n_samples"],
                f"{summary.get('kept_update') or updates} of {updates}",
                summary.get("learning_rate"),
                summary.get("n_pairs"),
                trained[ranker].seconds,
                _device(trained[ranker]),
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
