"""The steps of probes: choices, every layer's states, probes, and their comparison."""

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
    """Part (train, test) to its file; files take the place of the inputs collection and run."""
    as_published: bool = False
    """Whether examples of files are drawn as study A drew them."""


@dataclass(frozen=True)
class RepresentParams:
    """How the states of one ranker's layers are made and stored."""

    pooling: str | None
    """The pooling of states; the ranker's own, if None."""
    dtype: str
    at_random: int | None
    """The seed of random weights; None where the ranker's own are kept."""
    seed: int | None
    """The seed of the other queries that a cross-encoder reads; None for a bi-encoder, which reads each text alone."""


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
"""The name of the first ranker's architecture with random weights."""


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """The step that compares the probes of all rankers."""
    spec: ProbesSpec = question.spec
    key, rankers = question.key, probed(planner.study, question)
    choices = _choices(planner, question)
    inputs = {"choices": choices}
    for name in rankers:
        inputs[probe_role(name)] = _probe(planner, question, name, choices)
    if spec.at_random:
        inputs[probe_role(AT_RANDOM)] = _probe(
            planner, question, rankers[0], choices, at_random=True
        )
    curves = _published(planner, question, spec.published) if spec.published else None
    params = ConcludeParams(spec, spec.baseline or rankers[:1], curves)
    return {probes_role(key): planner.step(CONCLUDE, key, params, inputs)}


def _published(planner: Planner, question: Question, spec: PublishedCurvesSpec) -> Path:
    """The file of reported curves; raises UnknownChoice where it lacks one that the spec names."""
    path = planner.loaded.path(spec.path)
    known = {point.curve: point for point in published_points(path, spec.dataset)}
    for curve in spec.curves.values():
        choose(known, curve, what=f"curve in {question.place}.published")
    return path


def _choices(planner: Planner, question: Question) -> Step:
    spec: ProbesSpec = question.spec
    key, examples = question.key, spec.examples
    n_docs, seed = max(spec.candidates), planner.study.seed
    if isinstance(examples, FileExamplesSpec):
        files = {
            "train": planner.loaded.path(examples.train),
            "test": planner.loaded.path(examples.test),
        }
        is_published = spec.method == "as_published"
        params = ChoicesParams(examples, n_docs, seed, files, as_published=is_published)
        return planner.step(CHOICES, key, params, {})
    if planner.docs(examples.over) is not planner.docs(examples.train):
        raise BadStudy(
            f"{question.place}: {examples.train} and {examples.over} have different docs. Train and test probes "
            "over the same."
        )
    inputs = {"docs": planner.docs(examples.over)}
    for role, name in (("train", examples.train), ("test", examples.over)):
        inputs[f"{role} collection"] = planner.collection(name)
        inputs[f"{role} run"] = planner.first_stage_run(examples.first_stage, name)
    return planner.step(CHOICES, key, ChoicesParams(examples, n_docs, seed), inputs)


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
    reads_pairs = not planner.study.is_bi_encoder(ranker)  # then the seed draws others' queries
    seed = planner.study.seed
    params = RepresentParams(
        spec.pooling,
        spec.dtype,
        at_random=seed if at_random else None,
        seed=seed if reads_pairs else None,
    )
    states = planner.step(REPRESENT, label, params, inputs)
    probe_inputs = {"states": states, "choices": choices}
    return planner.step(PROBE, label, ProbeParams(spec, seed), probe_inputs)


def probe_role(ranker: str) -> str:
    """The role of a ranker's probes among the inputs of their comparison."""
    return f"probe {ranker}"


def probes_role(key: str) -> str:
    """The role of the comparison of probes of one key among the report's inputs."""
    return f"probes {key}"


ANALYSIS = Analysis(
    "probes",
    ProbesSpec,
    "Probes of every layer, each set under a name of its own.",
    rules.references,
    rules.depths,
    rules.check,
    plan,
    "rankscope.analyses.probes.section:section",
    swept=("rankers", "baseline"),
)
