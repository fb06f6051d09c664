"""Steps of rankers before any stage, and of their re-ranking."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadStudy
from rankscope.models.files import folders
from rankscope.models.location import ADAPTER, MODEL, Location, base_of
from rankscope.pipeline.paths import expanded
from rankscope.pipeline.plans import data
from rankscope.pipeline.plans.data import FactsParams
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.fields import FREE
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.rankers import (
    BiEncoderSpec,
    CrossEncoderSpec,
    LateInteractionSpec,
    ScratchSpec,
)
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Kind, Step

COMMIT = re.compile("[0-9a-f]{7,40}")
Untrained = CrossEncoderSpec | BiEncoderSpec | LateInteractionSpec
"""The specs of rankers that no stage made."""


@dataclass(frozen=True)
class ScratchParams:
    """A backbone from nothing."""

    spec: ScratchSpec
    seed: int
    facts: FactsParams | None = None
    """The facts that it is to know; None where it is not asked."""


@dataclass(frozen=True)
class Weights:
    """A model's or an adapter's files, whose bytes identify it; a hub's model is identified by its commit."""

    location: Location = field(metadata=FREE)
    digests: Mapping[str, Path]
    """Files by their paths in the model's folder."""
    hub: tuple[str, str | None] | None

    @classmethod
    def at(cls, location: Location) -> "Weights":
        """The weights at a location."""
        files = location.files()
        inside = {path.relative_to(location.folder or "").as_posix(): path for path in files}
        return cls(location, inside, None if files else (location.name, location.revision))


@dataclass(frozen=True)
class RankerParams:
    """A ranker as it is before any stage."""

    spec: Untrained
    weights: Weights | None
    """None for a `scratch` backbone, which is an input."""
    seed: int | None = None
    """The seed of a cross-encoder's fresh head."""
    doc: Weights | None = None
    adapter: Weights | None = None
    prompt: str | None = None
    """The prompt before queries that a cross-encoder's folder names."""
    base: Weights | None = None
    """The base of an adapter that is given as a cross-encoder."""


@dataclass(frozen=True)
class RerankParams:
    """The depth of a re-ranking, and its tag."""

    depth: int
    tag: str
    """The tag of the new run."""
    precision: str = "float32"
    """The precision in which the ranker's dense layers are computed."""


STEPS = "rankscope.pipeline.steps.rankers"
SCRATCH = Kind(
    "scratch",
    1,
    "rankscope.pipeline.steps.scratch:scratch_backbone",
    ScratchParams,
    is_shared=True,
    is_resumed=True,
)
RANKER = Kind("ranker", 2, f"{STEPS}:ranker", RankerParams)
RERANK = Kind("rerank", 3, f"{STEPS}:rerank", RerankParams, is_shared=True)


def ranker(planning: StudyPlanning, name: str, spec: Untrained) -> Step:
    """A ranker's weights before any stage."""
    written: Any = getattr(spec, "model", None)
    if written is None:
        written = getattr(spec, "backbone", None)
    if isinstance(written, ScratchSpec):
        weights = None
        inputs = {"backbone": _scratch(planning, planning.study.system_of(name), written)}
    else:
        assert written is not None
        weights, inputs = _weights(planning, name, written, spec.revision), {}
    if isinstance(spec, CrossEncoderSpec):
        params = _cross_encoder(spec, weights, planning.study.seed_of(name))
    elif isinstance(spec, BiEncoderSpec):
        params = _bi_encoder(planning, name, spec, weights)
    else:
        params = RankerParams(spec, weights)
    return planning.step(RANKER, name, params, inputs)


def _cross_encoder(spec: CrossEncoderSpec, weights: Weights | None, seed: int) -> RankerParams:
    """A cross-encoder's params, with the prompt and the adapter's base model that its folder names."""
    folder = None if weights is None else weights.location.folder
    if folder is None:
        return RankerParams(spec, weights, seed)
    card = folders.scorer_card(folder)
    is_adapter = (card.encoder / folders.ADAPTER_CONFIG).is_file()
    base = Weights.at(base_of(card.encoder)) if is_adapter else None
    return RankerParams(spec, weights, seed, prompt=card.prompt or None, base=base)


def _bi_encoder(
    planning: StudyPlanning, name: str, spec: BiEncoderSpec, weights: Weights | None
) -> RankerParams:
    """A bi-encoder's params, with the docs' own encoder and an adapter, where there are any."""
    doc = adapter = None
    if spec.doc_backbone is not None:
        doc = _weights(planning, name, spec.doc_backbone, spec.doc_revision, named="doc_revision")
    if spec.adapter is not None:
        adapter = _weights(
            planning,
            name,
            spec.adapter,
            spec.adapter_revision,
            named="adapter_revision",
            holds=ADAPTER,
        )
    return RankerParams(spec, weights, doc=doc, adapter=adapter)


def _weights(
    planning: StudyPlanning,
    ranker: str,
    written: str,
    revision: str | None,
    *,
    named: str = "revision",
    holds: Sequence[str] = MODEL,
) -> Weights:
    return Weights.at(_located(planning, ranker, written, revision, named=named, holds=holds))


def _located(
    planning: StudyPlanning,
    ranker: str,
    written: str,
    revision: str | None,
    *,
    named: str,
    holds: Sequence[str],
) -> Location:
    revision = revision and expanded(revision)
    location = planning.located(expanded(written), revision, tuple(holds))
    if location.folder is None and not COMMIT.fullmatch(revision or ""):
        raise BadStudy(
            f"rankers.{ranker}: {written!r} is no folder here, and a hub id needs `{named}`, the "
            "hash of a commit: results must rest on known weights. Copy it from the model's page."
            if revision is None
            else f"rankers.{ranker}.{named}: {revision!r} is not the hash of a commit (7 to 40 of "
            "0-9 and a-f), and a branch or tag may move. Copy the hash from the model's page."
        )
    return location


def _scratch(planning: StudyPlanning, name: str, spec: ScratchSpec) -> Step:
    facts = None if spec.facts is None else data.facts(planning, spec.facts)
    params = ScratchParams(spec, planning.study.seed, facts)
    return planning.step(SCRATCH, name, params, {"docs": planning.docs(spec.collection)})


def rerank(
    planning: StudyPlanning,
    ranker: str,
    collection: str,
    first_stage: str,
    depth: int,
    precision: str = "float32",
) -> Step:
    """A ranker's re-ranking of a first stage's run."""
    inputs = {
        "ranker": planning.ranker(ranker),
        "collection": planning.collection(collection),
        "docs": planning.docs(collection),
        "run": planning.first_stage_run(first_stage, collection),
    }
    label = f"{ranker}.{collection}.{first_stage}"
    label += "" if precision == "float32" else f".{precision}"
    return planning.step(RERANK, label, RerankParams(depth, ranker, precision), inputs)


def embedder(study: Pipeline, ranker: str) -> str:
    """The ranker that embeds a ranker's docs: the one it started from, if the doc tower was frozen."""
    spec = study.rankers[ranker]
    while isinstance(spec, TrainedSpec) and "doc_tower" in spec.freeze:
        ranker, spec = spec.start, study.rankers[spec.start]
    return ranker
