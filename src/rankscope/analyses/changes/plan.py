"""The steps between two rankers: what moved, and heads fitted anew."""

from rankscope.analyses.analysis import Question
from rankscope.analyses.changes.pairs import changed_depth, changed_pairs, with_heads
from rankscope.analyses.changes.spec import ChangesSpec
from rankscope.core.errors import BadStudy
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step

CHANGE = Kind("change", 3, "rankscope.analyses.changes.steps:change")
HEADS = Kind("heads", 5, "rankscope.analyses.changes.steps:heads")


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
        params = {"names": [before, after], "over": asked.over, "depth": depth}
        params |= {"seed": planner.study.seed, "texts": asked.texts, "k": asked.neighbours}
        change = Step(CHANGE, f"{after}.{key}", params, inputs, spec=asked)
        found[change_role("change", key, after)] = planner.add(change)
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
    params = asked.heads.identity("train", "rankers", "measure", "margin") | {
        "depth": changed_depth(planner.study, asked),
        "measure": measure,
        "margin": asked.heads.margin or evaluate.margin.get(measure, DEFAULT_MARGIN),
        "significance_level": evaluate.significance_level,
        "correction": evaluate.correction,
        "relevance_level": planner.study.collections[over].convention().relevance_level,
        "train_relevance_level": planner.study.collections[train].convention().relevance_level,
        "seed": planner.study.seed,
    }
    return planner.add(Step(HEADS, f"{after}.{question.key}", params, inputs, spec=asked))


def change_role(kind: str, key: str, ranker: str) -> str:
    """What the report calls what moved in a ranker, or its heads fitted anew, among its inputs."""
    return f"{kind} {key} {ranker}"
