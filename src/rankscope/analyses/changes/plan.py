"""The steps that compare two rankers: their changes, and the control with refitted heads."""

from dataclasses import dataclass

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.changes import rules
from rankscope.analyses.changes.pairs import (
    changed_depth,
    changed_pairs,
    changed_precision,
    with_heads,
)
from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
from rankscope.core.errors import BadStudy
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.evaluate.measures import with_relevance_level
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class ChangeParams:
    """How two rankers are compared."""

    spec: ChangesSpec
    depth: int
    """Docs for each query that both re-rank."""
    seed: int


@dataclass(frozen=True)
class HeadsParams:
    """How heads are refitted on two encoders, and how their runs are compared."""

    spec: HeadsSpec
    depth: int
    """Docs for each query that are re-ranked."""
    measure: str
    """At the collection's relevance level."""
    margin: float | str
    train_relevance_level: int
    """The lowest grade that is relevant to the queries that heads learn from."""
    seed: int
    significance_level: float = 0.05
    correction: str = "holm"


CHANGE = Kind("change", 3, "rankscope.analyses.changes.steps:change", ChangeParams)
HEADS = Kind("heads", 6, "rankscope.analyses.changes.steps:heads", HeadsParams)


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The changes between every pair, and the refitted heads."""
    spec: ChangesSpec = question.spec
    key, steps = question.key, dict[str, Step]()
    depth = changed_depth(planner.study, spec)
    how = (spec.over, spec.first_stage, depth, changed_precision(planner.study))
    for after, before in changed_pairs(planner.study, question).items():
        inputs = {
            "before": planner.ranker(before),
            "after": planner.ranker(after),
            "docs": planner.docs(spec.over),
            "collection": planner.collection(spec.over),
            "run": planner.first_stage_run(spec.first_stage, spec.over),
            "before run": planner.rerank(before, *how),
            "after run": planner.rerank(after, *how),
        }
        params = ChangeParams(spec, depth, planner.study.seed)
        change = planner.step(CHANGE, f"{after}.{key}", params, inputs)
        steps[change_role("change", key, after)] = change
        if after in with_heads(planner.study, question):
            steps[change_role("heads", key, after)] = _heads(planner, question, after, inputs)
    return steps


def _heads(planner: Planner, question: Question, after: str, inputs: dict[str, Step]) -> Step:
    """The step that refits heads on the encoders of a pair."""
    spec: ChangesSpec = question.spec
    assert spec.heads is not None
    train, over = spec.heads.train, spec.over
    if planner.docs(train) is not planner.docs(over):
        raise BadStudy(
            f"{question.place}.heads: {train} and {over} have different docs. Fit heads over the same."
        )
    inputs = inputs | {
        "train collection": planner.collection(train),
        "train run": planner.first_stage_run(spec.first_stage, train),
    }
    evaluate = planner.study.evaluate
    measure = spec.heads.measure or evaluate.measures[0]
    level = planner.study.collections[over].convention().relevance_level
    params = HeadsParams(
        spec.heads,
        depth=changed_depth(planner.study, spec),
        measure=with_relevance_level(measure, level),
        margin=spec.heads.margin or evaluate.margin.get(measure, DEFAULT_MARGIN),
        significance_level=evaluate.significance_level,
        correction=evaluate.correction,
        train_relevance_level=planner.study.collections[train].convention().relevance_level,
        seed=planner.study.seed,
    )
    return planner.step(HEADS, f"{after}.{question.key}", params, inputs)


def change_role(kind: str, key: str, ranker: str) -> str:
    """The role among the report's inputs of a ranker's changes, or of its refitted heads."""
    return f"{kind} {key} {ranker}"


ANALYSIS = Analysis(
    "changes",
    ChangesSpec,
    "Changes between two rankers, each set under a name of its own.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.changes.section:section",
    swept=("pairs", "heads.rankers"),
)
