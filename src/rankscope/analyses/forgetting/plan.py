"""The step of the forgetting matrix, from the evaluation's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.forgetting import rules
from rankscope.analyses.forgetting.pairs import ancestors, baselines_of_systems, taught
from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.pipeline.lineages import kinship, seed_lineage
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class ForgettingParams:
    """The baseline of each system, what their lineages learnt, and the measure they are compared on."""

    against: Mapping[str, str]
    """System to its baseline."""
    tuned: Sequence[str]
    """The systems that were tuned from their baselines; only they can forget."""
    taught: Mapping[str, Sequence[str]]
    """Baseline to the collections over whose docs its lineage learnt from queries."""
    taught_last: Mapping[str, Sequence[str]]
    """The same, counted only since the baseline's own baseline."""
    kinship: Mapping[str, str]
    """System to what its runs have in common with those of its baseline (`Kinship`)."""
    seed_lineage: Mapping[str, str]
    """System to the one whose seeds its runs follow; "" for a system of one run."""
    measure: str


FORGETTING = Kind(
    "forgetting", 3, "rankscope.analyses.forgetting.steps:forgetting", ForgettingParams
)

ROLE = "forgetting"
"""The role of the matrix among the report's inputs."""


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The step that compares systems on every collection, from the evaluation's values."""
    study = planner.study
    spec: ForgettingSpec = question.spec
    against = baselines_of_systems(study, spec)

    def over_docs_of(learnt: list[str]) -> list[str]:
        docs = {planner.docs(name).fingerprint for name in learnt}
        return [name for name in study.evaluate.over if planner.docs(name).fingerprint in docs]

    baselines = list(dict.fromkeys(against.values()))
    params = ForgettingParams(
        against=against,
        tuned=[name for name, baseline in against.items() if baseline in ancestors(study, name)],
        taught={name: over_docs_of(taught(study, name)) for name in baselines},
        taught_last={
            name: over_docs_of(taught(study, name, since=against.get(name))) for name in baselines
        },
        kinship={name: kinship(study, name, baseline).value for name, baseline in against.items()},
        seed_lineage={
            name: seed_lineage(study, name) for name in dict.fromkeys([*against, *baselines])
        },
        measure=spec.measure or study.evaluate.measures[0],
    )
    return {ROLE: planner.step(FORGETTING, "all", params, {"evaluate": planner.evaluate()})}


ANALYSIS = Analysis(
    "forgetting",
    ForgettingSpec,
    "Rankers x collections: the gains and losses of each stage, with verdicts.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.forgetting.section:section",
    systems=("baseline",),
    has_names=False,
)
