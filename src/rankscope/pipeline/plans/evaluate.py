"""The step of measures and comparisons, and the runs it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankscope.data.conventions import Convention
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.evaluate import EvaluateSpec
from rankscope.pipeline.spec.pipeline import ALL_DOCS
from rankscope.pipeline.step import Kind, Step, collection_role, learnt_role, run_role


@dataclass(frozen=True)
class EvaluateParams:
    """The measures and comparisons of an evaluation."""

    spec: EvaluateSpec
    conventions: Mapping[str, Convention]
    """Conventions by collection."""
    seed: int
    systems: tuple[tuple[str, tuple[str, ...]], ...]
    """Each system with its rankers, one for each seed."""


EVALUATE = Kind("evaluate", 9, "rankscope.pipeline.steps.evaluate:evaluate", EvaluateParams)


def evaluate(planning: StudyPlanning) -> Step:
    """Measures and comparisons of all runs."""
    spec = planning.study.evaluate
    inputs: dict[str, Step] = {}
    for collection in spec.over:  # before any training: a mistake in them should cost nothing
        inputs[collection_role(collection)] = planning.collection(collection)
    for collection in spec.over:
        for where, systems in planning.study.groups(collection).items():
            for name in (name for runs in systems.values() for name in runs):
                inputs[run_role(collection, where, name)] = _run(planning, name, collection, where)
    for ranker in planning.study.evaluated_rankers():
        for collection in planning.study.learnt_from(ranker):
            inputs[learnt_role(collection)] = planning.collection(collection)
    params = EvaluateParams(
        spec,
        {name: planning.study.collections[name].convention() for name in spec.over},
        planning.study.seed,
        tuple(planning.study.systems().items()),
    )
    return planning.step(EVALUATE, "all", params, inputs)


def _run(planning: StudyPlanning, name: str, collection: str, where: str) -> Step:
    """The run of a first stage or ranker over a collection, re-ranked from a first stage or from all docs."""
    evaluation = planning.study.evaluate
    if name in planning.study.first_stages:
        return planning.first_stage_run(name, collection)
    if name in evaluation.teachers:
        return planning.teacher_run(name, collection)
    if where == ALL_DOCS:
        assert evaluation.search is not None
        how = evaluation.search
        searching = DenseSpec(
            kind="dense", ranker=name, index="exact", depth=how.depth, stored=how.stored
        )
        return searching.plan(planning, name, collection)
    assert evaluation.rerank is not None
    again = evaluation.rerank
    return planning.rerank(name, collection, where, again.depth, again.precision)
