"""The steps of attribution: each ranker's, and what follows from all."""

from rankscope.analyses.analysis import Question
from rankscope.analyses.attribution.rules import attributed
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step

ATTRIBUTE = Kind("attribute", 3, "rankscope.analyses.attribution.steps:attribute")
NEURONS = Kind("neurons", 3, "rankscope.analyses.attribution.steps:neurons")


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The neurons of all rankers, compared."""
    asked: AttributionSpec = question.spec
    key, rankers = question.key, attributed(planner.study, question)
    told = ("threshold", "margin")  # what is said of attributions, not what they are
    made = asked.identity("over", "first_stage", "file", "rankers", "baseline", *told)
    inputs, paths = {}, {}
    if asked.over and asked.first_stage:
        inputs = {
            "docs": planner.docs(asked.over),
            "collection": planner.collection(asked.over),
            "run": planner.first_stage_run(asked.first_stage, asked.over),
        }
    if asked.file:
        paths = {"file": planner.loaded.path(asked.file.path)}
        made["file"] = asked.file.identity("path") | {"digest": planner.digest(paths["file"])}
    by_ranker = {
        attribute_role(name): planner.add(
            Step(
                ATTRIBUTE,
                f"{name}.{key}",
                {**made, "seed": planner.study.seed},
                {**inputs, "ranker": planner.ranker(name)},
                spec=asked,
                paths=paths,
            )
        )
        for name in rankers
    }
    params = {"baseline": asked.baseline or rankers[:1], **made}
    params |= {name: getattr(asked, name) for name in told} | {"seed": planner.study.seed}
    neurons = Step(NEURONS, key, params, by_ranker, spec=asked)
    return {neurons_role(key): planner.add(neurons)}


def attribute_role(ranker: str) -> str:
    """What the comparison of neurons calls a ranker's attributions among its inputs."""
    return f"attributions of {ranker}"


def neurons_role(key: str) -> str:
    """What the report calls what attribution found among its inputs."""
    return f"neurons {key}"
