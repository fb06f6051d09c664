"""The step of the forgetting matrix, out of what the evaluation measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.forgetting import rules
from rankscope.analyses.forgetting.pairs import ancestors, held_against, taught
from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.pipeline.lineages import kinship, seed_lineage
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class ForgettingParams:
    """Who is held against whom, what their lines had learnt, and in which measure; all of systems."""

    against: Mapping[str, str]
    """System to what it is held against, its baseline."""
    tuned: Sequence[str]
    """Those that were tuned from what they are held against; only they can forget."""
    taught: Mapping[str, Sequence[str]]
    """Baseline to the collections over whose docs its line has learnt queries."""
    taught_last: Mapping[str, Sequence[str]]
    """The same, since what the baseline is held against itself."""
    kinship: Mapping[str, str]
    """System to what its runs have in common with those of what it is held against (`Kinship`)."""
    seed_lineage: Mapping[str, str]
    """System to the one whose seeds its runs follow; "" of one run."""
    measure: str


FORGETTING = Kind(
    "forgetting", 3, "rankscope.analyses.forgetting.steps:forgetting", ForgettingParams
)

ROLE = "forgetting"
"""What the report calls the matrix among its inputs."""


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """Rankers x collections, from what the evaluation measured."""
    study = planner.study
    asked: ForgettingSpec = question.spec
    against = held_against(study, asked)

    def over_docs_of(learnt: list[str]) -> list[str]:
        docs = {planner.docs(name).fingerprint for name in learnt}
        return [name for name in study.evaluate.over if planner.docs(name).fingerprint in docs]

    baselines = list(dict.fromkeys(against.values()))
    params = ForgettingParams(
        against=against,
        tuned=[name for name, of in against.items() if of in ancestors(study, name)],
        taught={name: over_docs_of(taught(study, name)) for name in baselines},
        taught_last={
            name: over_docs_of(taught(study, name, since=against.get(name))) for name in baselines
        },
        kinship={name: kinship(study, name, of).value for name, of in against.items()},
        seed_lineage={
            name: seed_lineage(study, name) for name in dict.fromkeys([*against, *baselines])
        },
        measure=asked.measure or study.evaluate.measures[0],
    )
    return {ROLE: planner.step(FORGETTING, "all", params, {"evaluate": planner.evaluate()})}


ANALYSIS = Analysis(
    "forgetting",
    ForgettingSpec,
    "Rankers x collections: what each stage gained and lost, with verdicts.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.forgetting.section:section",
    systems=("baseline",),
    has_names=False,
)
