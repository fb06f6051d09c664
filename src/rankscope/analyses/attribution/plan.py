"""The steps of attribution: each ranker's, and what follows from all."""

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
    """In place of a collection and a run, which are inputs."""
    seed: int


@dataclass(frozen=True)
class NeuronsParams:
    """How all rankers' neurons are compared."""

    spec: AttributionSpec
    baselines: tuple[str, ...]
    seed: int


ATTRIBUTE = Kind("attribute", 3, "rankscope.analyses.attribution.steps:attribute", AttributeParams)
NEURONS = Kind("neurons", 3, "rankscope.analyses.attribution.steps:neurons", NeuronsParams)


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The neurons of all rankers, compared."""
    asked: AttributionSpec = question.spec
    key, rankers, seed = question.key, attributed(planner.study, question), planner.study.seed
    inputs = {}
    if asked.over and asked.first_stage:
        inputs = {
            "docs": planner.docs(asked.over),
            "collection": planner.collection(asked.over),
            "run": planner.first_stage_run(asked.first_stage, asked.over),
        }
    file = planner.loaded.path(asked.file.path) if asked.file else None
    params = AttributeParams(asked, file, seed)
    by_ranker = {
        attribute_role(name): planner.step(
            ATTRIBUTE, f"{name}.{key}", params, {**inputs, "ranker": planner.ranker(name)}
        )
        for name in rankers
    }
    compared = NeuronsParams(asked, asked.baseline or rankers[:1], seed)
    return {neurons_role(key): planner.step(NEURONS, key, compared, by_ranker)}


def attribute_role(ranker: str) -> str:
    """What the comparison of neurons calls a ranker's attributions among its inputs."""
    return f"attributions of {ranker}"


def neurons_role(key: str) -> str:
    """What the report calls what attribution found among its inputs."""
    return f"neurons {key}"


ANALYSIS = Analysis(
    "attribution",
    AttributionSpec,
    "Attribution of feed-forward neurons, by the name of what it is over.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.attribution.section:section",
    swept=("rankers", "baseline"),
)
