"""The steps of probes: choices, every layer's states, probes, and what follows from all."""

from collections.abc import Mapping
from typing import Any

from rankscope.analyses.analysis import Question
from rankscope.analyses.probes.published import published_points
from rankscope.analyses.probes.rules import probed
from rankscope.analyses.probes.spec import FileExamplesSpec, ProbesSpec
from rankscope.core.errors import BadStudy, choose
from rankscope.pipeline.planner import Planner
from rankscope.pipeline.step import Kind, Step

CHOICES = Kind("choices", 2, "rankscope.analyses.probes.steps:choices")
REPRESENT = Kind(
    "represent", 2, "rankscope.analyses.probes.steps:represent", is_shared=True, is_resumed=True
)
PROBE = Kind("probe", 2, "rankscope.analyses.probes.steps:probe")
CONCLUDE = Kind("conclude", 3, "rankscope.analyses.probes.steps:conclude")
AT_RANDOM = "random weights"
"""What the first ranker's architecture without its weights is called."""


def plan(planner: Planner, question: Question) -> dict[str, Step]:
    """What the probes found in all rankers, compared."""
    asked: ProbesSpec = question.spec
    key, rankers = question.key, probed(planner.study, question)
    choices = _choices(planner, question)
    made = asked.identity(
        "examples",
        "rankers",
        "baseline",
        "at_random",
        "margin",
        "published",
        "pooling",
        "dtype",
    )
    inputs = {"choices": choices}
    for name in rankers:
        inputs[probe_role(name)] = _probe(planner, question, name, choices, made)
    if asked.at_random:
        inputs[probe_role(AT_RANDOM)] = _probe(
            planner, question, rankers[0], choices, made, at_random=True
        )
    params = {"margin": asked.margin, "baseline": asked.baseline or rankers[:1], **made}
    paths = {}
    if asked.published:
        paths = {"published": planner.loaded.path(asked.published.path)}
        known = {p.curve: p for p in published_points(paths["published"], asked.published.dataset)}
        for curve in asked.published.curves.values():
            choose(known, curve, what=f"curve in {question.place}.published")
        params["published"] = asked.published.identity("path") | {
            "digest": planner.digest(paths["published"])
        }
    conclude = Step(CONCLUDE, key, params, inputs, spec=asked, paths=paths)
    return {probes_role(key): planner.add(conclude)}


def _choices(planner: Planner, question: Question) -> Step:
    asked: ProbesSpec = question.spec
    key, drawn = question.key, asked.examples
    params: dict[str, Any] = {"n_docs": max(asked.candidates), "seed": planner.study.seed}
    if isinstance(drawn, FileExamplesSpec):
        paths = {"train": planner.loaded.path(drawn.train), "test": planner.loaded.path(drawn.test)}
        params |= {"kind": drawn.kind, "method": asked.method}
        params |= {"digests": {part: planner.digest(path) for part, path in paths.items()}}
        return planner.add(Step(CHOICES, key, params, {}, spec=asked, paths=paths))
    if planner.docs(drawn.over) is not planner.docs(drawn.train):
        raise BadStudy(
            f"{question.place}: {drawn.train} and {drawn.over} have other docs. Train and test probes "
            "over the same."
        )
    inputs = {"docs": planner.docs(drawn.over)}
    for role, name in (("train", drawn.train), ("test", drawn.over)):
        inputs[f"{role} collection"] = planner.collection(name)
        inputs[f"{role} run"] = planner.first_stage_run(drawn.first_stage, name)
    params |= drawn.identity("over", "train", "first_stage", "kind")
    return planner.add(Step(CHOICES, key, params, inputs, spec=asked))


def _probe(
    planner: Planner,
    question: Question,
    ranker: str,
    choices: Step,
    made: Mapping[str, Any],
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
    params = {
        "at_random": planner.study.seed if at_random else None,
        "seed": planner.study.seed if of_pairs else None,
        "pooling": spec.pooling,
        "dtype": spec.dtype,
    }
    states = planner.add(Step(REPRESENT, label, params, inputs))
    found = {"states": states, "choices": choices}
    return planner.add(Step(PROBE, label, {**made, "seed": planner.study.seed}, found, spec=spec))


def probe_role(ranker: str) -> str:
    """What the comparison of probes calls those of a ranker among its inputs."""
    return f"probe {ranker}"


def probes_role(key: str) -> str:
    """What the report calls the comparison of probes of one name among its inputs."""
    return f"probes {key}"
