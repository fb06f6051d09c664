"""The steps of probes: choices, every layer's states, probes, and what follows from all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.probes import rules
from rankscope.analyses.probes.published import published_points
from rankscope.analyses.probes.rules import probed
from rankscope.analyses.probes.spec import (
    FileExamplesSpec,
    ProbesSpec,
    PublishedCurvesSpec,
    RunExamplesSpec,
)
from rankscope.core.errors import BadStudy, choose
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class ChoicesParams:
    """How examples are drawn."""

    spec: RunExamplesSpec | FileExamplesSpec
    n_docs: int
    seed: int
    files: Mapping[str, Path] = field(default_factory=dict)
    """In place of collections and runs, which are inputs: those of training and test."""
    as_published: bool = False
    """Whether those of files are drawn as study A drew them."""


@dataclass(frozen=True)
class RepresentParams:
    """How the states of one ranker's layers are made and stored."""

    pooling: str | None
    """As the ranker pools, if None."""
    dtype: str
    at_random: int | None
    """The seed of random weights; None where the ranker's own are kept."""
    seed: int | None
    """Of the other queries that a cross-encoder reads; None of a bi-encoder, which reads each text alone."""


@dataclass(frozen=True)
class ProbeParams:
    """How one ranker's layers are probed."""

    spec: ProbesSpec
    seed: int


@dataclass(frozen=True)
class ConcludeParams:
    """How all rankers' probes are compared."""

    spec: ProbesSpec
    baselines: tuple[str, ...]
    published: Path | None


STEPS = "rankscope.analyses.probes.steps"
CHOICES = Kind("choices", 2, f"{STEPS}:choices", ChoicesParams)
REPRESENT = Kind(
    "represent", 2, f"{STEPS}:represent", RepresentParams, is_shared=True, is_resumed=True
)
PROBE = Kind("probe", 2, f"{STEPS}:probe", ProbeParams)
CONCLUDE = Kind("conclude", 3, f"{STEPS}:conclude", ConcludeParams)
AT_RANDOM = "random weights"
"""What the first ranker's architecture without its weights is called."""


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """What the probes found in all rankers, compared."""
    asked: ProbesSpec = question.spec
    key, rankers = question.key, probed(planner.study, question)
    choices = _choices(planner, question)
    inputs = {"choices": choices}
    for name in rankers:
        inputs[probe_role(name)] = _probe(planner, question, name, choices)
    if asked.at_random:
        inputs[probe_role(AT_RANDOM)] = _probe(
            planner, question, rankers[0], choices, at_random=True
        )
    curves = _published(planner, question, asked.published) if asked.published else None
    params = ConcludeParams(asked, asked.baseline or rankers[:1], curves)
    return {probes_role(key): planner.step(CONCLUDE, key, params, inputs)}


def _published(planner: Planner, question: Question, asked: PublishedCurvesSpec) -> Path:
    """The file of reported curves, which has all that are asked for."""
    path = planner.loaded.path(asked.path)
    known = {point.curve: point for point in published_points(path, asked.dataset)}
    for curve in asked.curves.values():
        choose(known, curve, what=f"curve in {question.place}.published")
    return path


def _choices(planner: Planner, question: Question) -> Step:
    asked: ProbesSpec = question.spec
    key, drawn = question.key, asked.examples
    n_docs, seed = max(asked.candidates), planner.study.seed
    if isinstance(drawn, FileExamplesSpec):
        files = {"train": planner.loaded.path(drawn.train), "test": planner.loaded.path(drawn.test)}
        is_published = asked.method == "as_published"
        params = ChoicesParams(drawn, n_docs, seed, files, as_published=is_published)
        return planner.step(CHOICES, key, params, {})
    if planner.docs(drawn.over) is not planner.docs(drawn.train):
        raise BadStudy(
            f"{question.place}: {drawn.train} and {drawn.over} have other docs. Train and test probes "
            "over the same."
        )
    inputs = {"docs": planner.docs(drawn.over)}
    for role, name in (("train", drawn.train), ("test", drawn.over)):
        inputs[f"{role} collection"] = planner.collection(name)
        inputs[f"{role} run"] = planner.first_stage_run(drawn.first_stage, name)
    return planner.step(CHOICES, key, ChoicesParams(drawn, n_docs, seed), inputs)


def _probe(
    planner: Planner,
    question: Question,
    ranker: str,
    choices: Step,
    *,
    at_random: bool = False,
) -> Step:
    spec: ProbesSpec = question.spec
    inputs = {
        "ranker": planner.ranker(ranker),
        "choices": choices,
        "docs": choices.inputs.get("docs", choices),
    }
    label = f"{ranker}.random.{question.key}" if at_random else f"{ranker}.{question.key}"
    of_pairs = not planner.study.is_bi_encoder(ranker)  # then the seed draws others' queries
    seed = planner.study.seed
    params = RepresentParams(
        spec.pooling,
        spec.dtype,
        at_random=seed if at_random else None,
        seed=seed if of_pairs else None,
    )
    states = planner.step(REPRESENT, label, params, inputs)
    found = {"states": states, "choices": choices}
    return planner.step(PROBE, label, ProbeParams(spec, seed), found)


def probe_role(ranker: str) -> str:
    """What the comparison of probes calls those of a ranker among its inputs."""
    return f"probe {ranker}"


def probes_role(key: str) -> str:
    """What the report calls the comparison of probes of one name among its inputs."""
    return f"probes {key}"


ANALYSIS = Analysis(
    "probes",
    ProbesSpec,
    "Probes of every layer, by the name of what they are over.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.probes.section:section",
    swept=("rankers", "baseline"),
)
