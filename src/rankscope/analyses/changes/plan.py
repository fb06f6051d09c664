"""The steps between two rankers: what moved, and heads fitted anew."""

from dataclasses import dataclass

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.changes import rules
from rankscope.analyses.changes.pairs import changed_depth, changed_pairs, with_heads
from rankscope.analyses.changes.spec import ChangesSpec, HeadsSpec
from rankscope.core.errors import BadStudy
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.evaluate.measures import with_relevance_level
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class ChangeParams:
    """What of two rankers is compared."""

    spec: ChangesSpec
    depth: int
    """Docs of each query that both re-rank."""
    seed: int


@dataclass(frozen=True)
class HeadsParams:
    """How heads are fitted anew on two encoders, and how their runs are compared."""

    spec: HeadsSpec
    depth: int
    """Docs of each query that are re-ranked."""
    measure: str
    """At the collection's relevance level."""
    margin: float | str
    train_relevance_level: int
    """The lowest grade that is relevant to the queries that heads learn from."""
    seed: int
    significance_level: float = 0.05
    correction: str = "holm"


CHANGE = Kind("change", 3, "rankscope.analyses.changes.steps:change", ChangeParams)
HEADS = Kind("heads", 5, "rankscope.analyses.changes.steps:heads", HeadsParams)


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """What moved between every pair, and the heads fitted anew."""
    asked: ChangesSpec = question.spec
    key, found = question.key, dict[str, Step]()
    depth = changed_depth(planner.study, asked)
    for after, before in changed_pairs(planner.study, question).items():
        inputs = {
            "before": planner.ranker(before),
            "after": planner.ranker(after),
            "docs": planner.docs(asked.over),
            "collection": planner.collection(asked.over),
            "run": planner.first_stage_run(asked.first_stage, asked.over),
            "before run": planner.rerank(before, asked.over, asked.first_stage, depth),
            "after run": planner.rerank(after, asked.over, asked.first_stage, depth),
        }
        params = ChangeParams(asked, depth, planner.study.seed)
        change = planner.step(CHANGE, f"{after}.{key}", params, inputs)
        found[change_role("change", key, after)] = change
        if after in with_heads(planner.study, question):
            found[change_role("heads", key, after)] = _heads(planner, question, after, inputs)
    return found


def _heads(planner: Planner, question: Question, after: str, inputs: dict[str, Step]) -> Step:
    """Heads fitted anew on the encoders of a pair."""
    asked: ChangesSpec = question.spec
    assert asked.heads is not None
    train, over = asked.heads.train, asked.over
    if planner.docs(train) is not planner.docs(over):
        raise BadStudy(
            f"{question.place}.heads: {train} and {over} have other docs. Fit heads over the same."
        )
    inputs = inputs | {
        "train collection": planner.collection(train),
        "train run": planner.first_stage_run(asked.first_stage, train),
    }
    evaluate = planner.study.evaluate
    measure = asked.heads.measure or evaluate.measures[0]
    level = planner.study.collections[over].convention().relevance_level
    params = HeadsParams(
        asked.heads,
        depth=changed_depth(planner.study, asked),
        measure=with_relevance_level(measure, level),
        margin=asked.heads.margin or evaluate.margin.get(measure, DEFAULT_MARGIN),
        significance_level=evaluate.significance_level,
        correction=evaluate.correction,
        train_relevance_level=planner.study.collections[train].convention().relevance_level,
        seed=planner.study.seed,
    )
    return planner.step(HEADS, f"{after}.{question.key}", params, inputs)


def change_role(kind: str, key: str, ranker: str) -> str:
    """What the report calls what moved in a ranker, or its heads fitted anew, among its inputs."""
    return f"{kind} {key} {ranker}"


ANALYSIS = Analysis(
    "changes",
    ChangesSpec,
    "What moved between two rankers, by the name of what it is looked at over.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.changes.section:section",
    swept=("pairs", "heads.rankers"),
)
