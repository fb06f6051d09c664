"""The steps of attribution: one for each ranker, and the comparison of all."""

from dataclasses import dataclass
from pathlib import Path

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.attribution import rules
from rankscope.analyses.attribution.rules import attributed
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class AttributeParams:
    """How one ranker's neurons are attributed."""

    spec: AttributionSpec
    file: Path | None
    """A file of examples, which takes the place of the inputs collection and run."""
    seed: int


@dataclass(frozen=True)
class NeuronsParams:
    """How all rankers' neurons are compared."""

    spec: AttributionSpec
    baselines: tuple[str, ...]
    seed: int


ATTRIBUTE = Kind("attribute", 4, "rankscope.analyses.attribution.steps:attribute", AttributeParams)
NEURONS = Kind("neurons", 3, "rankscope.analyses.attribution.steps:neurons", NeuronsParams)


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The step that compares the neurons of all rankers."""
    spec: AttributionSpec = question.spec
    key, rankers, seed = question.key, attributed(planner.study, question), planner.study.seed
    inputs = {}
    if spec.over and spec.first_stage:
        inputs = {
            "docs": planner.docs(spec.over),
            "collection": planner.collection(spec.over),
            "run": planner.first_stage_run(spec.first_stage, spec.over),
        }
    file = planner.loaded.path(spec.file.path) if spec.file else None
    params = AttributeParams(spec, file, seed)
    by_ranker = {
        attribute_role(name): planner.step(
            ATTRIBUTE, f"{name}.{key}", params, {**inputs, "ranker": planner.ranker(name)}
        )
        for name in rankers
    }
    compared = NeuronsParams(spec, spec.baseline or rankers[:1], seed)
    return {neurons_role(key): planner.step(NEURONS, key, compared, by_ranker)}


def attribute_role(ranker: str) -> str:
    """The role of a ranker's attributions among the inputs of the comparison."""
    return f"attributions of {ranker}"


def neurons_role(key: str) -> str:
    """The role of the compared neurons among the report's inputs."""
    return f"neurons {key}"


ANALYSIS = Analysis(
    "attribution",
    AttributionSpec,
    "Attribution of feed-forward neurons, each set under a name of its own.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.attribution.section:section",
    swept=("rankers", "baseline"),
)
