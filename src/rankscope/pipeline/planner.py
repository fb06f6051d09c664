"""Steps of data, rankers, runs and measures, each made once, inputs first."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief
from rankscope.data.collections import IrDataset, LocalFiles, Source, beir_folder
from rankscope.data.public import places
from rankscope.models.files import folders
from rankscope.models.location import ADAPTER, MODEL, Location, base_of, located
from rankscope.pipeline.first_stages import dense
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.first_stages.first_stage import FirstStage
from rankscope.pipeline.first_stages.table import SEARCH, SearchParams
from rankscope.pipeline.identity import Digest, identity
from rankscope.pipeline.kinds import (
    COLLECTION,
    DOCS,
    EVALUATE,
    RANKER,
    RERANK,
    SCRATCH,
    TEACHER,
    TRAIN,
    CollectionParams,
    DocsParams,
    EvaluateParams,
    RankerParams,
    RerankParams,
    ScratchParams,
    TeacherParams,
    TrainParams,
    Weights,
)
from rankscope.pipeline.paths import LoadedStudy, expanded
from rankscope.pipeline.spec.collections import BeirSpec, CollectionSpec, FilesSpec, PublicSpec
from rankscope.pipeline.spec.pipeline import ALL_DOCS, Pipeline
from rankscope.pipeline.spec.rankers import BiEncoderSpec, CrossEncoderSpec, ScratchSpec
from rankscope.pipeline.spec.samples import CropsSpec, SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import RankerTeacherSpec
from rankscope.pipeline.step import (
    NOISY_DOCS,
    NOISY_EMBEDDINGS,
    Kind,
    Step,
    collection_role,
    docs_role,
    learnt_role,
    run_role,
    samples_role,
    validation_role,
)

COMMIT = re.compile("[0-9a-f]{7,40}")
LONGEST_NAME, ENDING = 255, ".txt"
"""Bytes of a file's name, and the ending of a failed step's record."""


P = ParamSpec("P")
T = TypeVar("T")
Build = Callable[Concatenate["Planner", P], T]


def _once(build: Build[P, T]) -> Build[P, T]:
    """A planner builds once for the same arguments: every seed needs the same collections."""

    @wraps(build)
    def kept(planner: "Planner", /, *words: P.args, **named: P.kwargs) -> T:
        key = (build.__name__, words, tuple(named.items()))
        if key not in planner.built:
            planner.built[key] = build(planner, *words, **named)
        result: T = planner.built[key]
        return result

    return kept


class Planner:
    """Builds steps on demand, each once, inputs first."""

    def __init__(self, loaded: LoadedStudy[Pipeline], digest: Digest) -> None:
        self.loaded, self.study, self.digest = loaded, loaded.study, cache(digest)
        self.steps: dict[str, Step] = {}
        self.built: dict[Any, Any] = {}

    def step(self, kind: Kind, label: str, params: Any, inputs: Mapping[str, Step]) -> Step:
        """A step, or the equal one that is there already; BadStudy if its name is too long for a file."""
        step = Step(kind, label, params, identity(params, kind.name, self.digest), inputs)
        if len(f"{step.name}{ENDING}".encode()) > LONGEST_NAME:
            raise BadStudy(
                f"A step of the kind {kind.name} would be kept in a folder whose name has {len(step.name)} characters, and "
                f"file systems take {LONGEST_NAME - len(ENDING)}. Shorten the names it is made of: "
                f"{', '.join(map(brief, label.split('.')))}."
            )
        return self.steps.setdefault(step.fingerprint, step)

    def path(self, written: str) -> Path:
        """A path of the study file: variables filled in, relative to its folder."""
        return self.loaded.path(written)

    # -- data --

    def _source(self, spec: CollectionSpec) -> Source:
        if isinstance(spec, BeirSpec):
            return beir_folder(self.loaded.path(spec.path), spec.split)
        if isinstance(spec, FilesSpec):
            names = (spec.docs, spec.queries_file, spec.qrels)
            return LocalFiles(*(self.loaded.path(name) for name in names))
        if isinstance(spec, PublicSpec):
            return beir_folder(places.folder_of(spec.id), spec.split)
        return IrDataset(spec.id)

    @_once
    def docs(self, name: str) -> Step:
        """The docs of a collection; collections over the same docs share the step."""
        source = self._source(self.study.collections[name])
        params = DocsParams(source, source.doc_files(), source.doc_names())
        return self.step(DOCS, name, params, {})

    @_once
    def collection(self, name: str) -> Step:
        """Queries and qrels of a collection."""
        spec = self.study.collections[name]
        source = self._source(spec)
        seed = self.study.seed if spec.is_drawn else None
        params = CollectionParams(spec, source, source.topic_files(), source.topic_names(), seed)
        return self.step(COLLECTION, name, params, {"docs": self.docs(name)})

    @_once
    def first_stage_run(self, first_stage: str, collection: str) -> Step:
        """The first stage's run over a collection."""
        spec: FirstStage = self.study.first_stages[first_stage]
        return spec.plan(self, first_stage, collection)

    def search(
        self,
        spec: Any,
        label: str,
        collection: str,
        inputs: Mapping[str, Step],
        run: Path | None = None,
    ) -> Step:
        """The step of a first stage's own search, or reading of a run file, over a collection."""
        drops = self.study.collections[collection].convention().drop_own_docs
        return self.step(SEARCH, label, SearchParams(spec, run, drops), inputs)

    # -- rankers --

    @_once
    def ranker(self, name: str) -> Step:
        """A ranker's weights: a loaded model, or the outcome of a stage."""
        spec = self.study.rankers[name]
        if isinstance(spec, TrainedSpec):
            return self._trained(name, spec)
        written: Any = getattr(spec, "model", None)
        if written is None:
            written = getattr(spec, "backbone", None)
        if isinstance(written, ScratchSpec):
            weights = None
            inputs = {"backbone": self._scratch(self.study.system_of(name), written)}
        else:
            assert written is not None
            weights, inputs = self._weights(name, written, spec.revision), {}
        if isinstance(spec, CrossEncoderSpec):
            params = self._cross_encoder(spec, weights, self.study.seed_of(name))
        elif isinstance(spec, BiEncoderSpec):
            params = self._bi_encoder(name, spec, weights)
        else:
            params = RankerParams(spec, weights)
        return self.step(RANKER, name, params, inputs)

    def _cross_encoder(
        self, spec: CrossEncoderSpec, weights: Weights | None, seed: int
    ) -> RankerParams:
        """A cross-encoder's params, with the prompt and the adapter's base model that its folder names."""
        folder = None if weights is None else weights.location.folder
        if folder is None:
            return RankerParams(spec, weights, seed)
        card = folders.scorer_card(folder)
        is_adapter = (card.encoder / folders.ADAPTER_CONFIG).is_file()
        base = Weights.at(base_of(card.encoder)) if is_adapter else None
        return RankerParams(spec, weights, seed, prompt=card.prompt or None, base=base)

    def _bi_encoder(self, name: str, spec: BiEncoderSpec, weights: Weights | None) -> RankerParams:
        """A bi-encoder's params, with the docs' own encoder and an adapter, where there are any."""
        doc = adapter = None
        if spec.doc_backbone is not None:
            doc = self._weights(name, spec.doc_backbone, spec.doc_revision, named="doc_revision")
        if spec.adapter is not None:
            adapter = self._weights(
                name, spec.adapter, spec.adapter_revision, named="adapter_revision", holds=ADAPTER
            )
        return RankerParams(spec, weights, doc=doc, adapter=adapter)

    def _weights(
        self,
        ranker: str,
        written: str,
        revision: str | None,
        *,
        named: str = "revision",
        holds: Sequence[str] = MODEL,
    ) -> Weights:
        return Weights.at(self._located(ranker, written, revision, named=named, holds=holds))

    def _located(
        self,
        ranker: str,
        written: str,
        revision: str | None,
        *,
        named: str,
        holds: Sequence[str],
    ) -> Location:
        revision = revision and expanded(revision)
        location = self._location(expanded(written), revision, tuple(holds))
        if location.folder is None and not COMMIT.fullmatch(revision or ""):
            raise BadStudy(
                f"rankers.{ranker}: {written!r} is no folder here, and a hub id needs `{named}`, the "
                "hash of a commit: results must rest on known weights. Copy it from the model's page."
                if revision is None
                else f"rankers.{ranker}.{named}: {revision!r} is not the hash of a commit (7 to 40 of "
                "0-9 and a-f), and a branch or tag may move. Copy the hash from the model's page."
            )
        return location

    @_once
    def _location(self, written: str, revision: str | None, holds: tuple[str, ...]) -> Location:
        return located(written, beside=self.loaded.folder, revision=revision, holds=holds)

    def _scratch(self, name: str, spec: ScratchSpec) -> Step:
        params = ScratchParams(spec, self.study.seed)
        return self.step(SCRATCH, name, params, {"docs": self.docs(spec.collection)})

    def _trained(self, name: str, spec: TrainedSpec) -> Step:
        watched = spec.validate_on
        inputs = {"start": self.ranker(spec.start)}
        if not isinstance(spec.samples, SamplesSpec):
            if isinstance(spec.samples, CropsSpec):
                inputs[samples_role(0, "docs")] = self.docs(spec.samples.collection)
            else:
                queries = self.collection(spec.samples.collection)
                inputs[samples_role(0, "collection")] = queries
                if spec.samples.docs is not None:
                    inputs[NOISY_DOCS] = self.docs(spec.samples.docs)
                    inputs[NOISY_EMBEDDINGS] = dense.embeddings(self, spec.start, spec.samples.docs)
        for place, (_, samples) in enumerate(spec.lessons):
            inputs |= self._sample_inputs(place, samples)
        for collection in watched.collections if watched else ():
            assert watched is not None
            inputs[collection_role(collection)] = self.collection(collection)
            inputs[docs_role(collection)] = self.docs(collection)
            inputs[validation_role(collection)] = self.first_stage_run(
                watched.first_stage, collection
            )
        teachers = [self.study.teachers.get(samples.labels) for _, samples in spec.lessons]
        params = TrainParams(
            spec,
            keep=spec.kept,
            seed=self.study.seed_of(name),
            stage=len(self.study.lineage(name)) - 1,
            teacher_depths=tuple(
                None if teacher is None else teacher.depth for teacher in teachers
            ),
            refreshed_drop_own_docs=any(
                self.study.collections[samples.collection].convention().drop_own_docs
                for _, samples in spec.lessons
                if samples.negatives and samples.negatives.refresh_every
            ),
        )
        return self.step(TRAIN, name, params, inputs)

    def _sample_inputs(self, place: int, samples: SamplesSpec) -> dict[str, Step]:
        inputs = {
            samples_role(place, "docs"): self.docs(samples.collection),
            samples_role(place, "collection"): self.collection(samples.collection),
        }
        if samples.negatives is None:
            run = self._teacher_run(samples.labels, samples.collection)
        else:
            mining = samples.negatives
            run = self.first_stage_run(mining.first_stage, samples.collection)
            if mining.rescored_by:
                made = (samples.collection, mining.first_stage, mining.depth)
                run = self.rerank(mining.rescored_by, *made)
        return inputs | {samples_role(place, "run"): run}

    @_once
    def _teacher_run(self, name: str, collection: str) -> Step:
        teacher = self.study.teachers[name]
        if isinstance(teacher, RankerTeacherSpec):
            return self.rerank(teacher.ranker, collection, teacher.candidates, teacher.depth)
        shown = self.loaded.path(teacher.candidates) if teacher.candidates else None
        params = TeacherParams(teacher, self.loaded.path(teacher.path), shown)
        inputs = {"collection": self.collection(collection), "docs": self.docs(collection)}
        return self.step(TEACHER, f"{name}.{collection}", params, inputs)

    # -- evaluation --

    @_once
    def rerank(
        self,
        ranker: str,
        collection: str,
        first_stage: str,
        depth: int,
        precision: str = "float32",
    ) -> Step:
        """A ranker's re-ranking of a first stage's run."""
        inputs = {
            "ranker": self.ranker(ranker),
            "collection": self.collection(collection),
            "docs": self.docs(collection),
            "run": self.first_stage_run(first_stage, collection),
        }
        label = f"{ranker}.{collection}.{first_stage}"
        label += "" if precision == "float32" else f".{precision}"
        return self.step(RERANK, label, RerankParams(depth, ranker, precision), inputs)

    def embedder(self, ranker: str) -> str:
        """The ranker that embeds a ranker's docs: the one it started from, if the doc tower was frozen."""
        spec = self.study.rankers[ranker]
        while isinstance(spec, TrainedSpec) and "doc_tower" in spec.freeze:
            ranker, spec = spec.start, self.study.rankers[spec.start]
        return ranker

    def evaluate(self) -> Step:
        """Measures and comparisons of all runs."""
        spec = self.study.evaluate
        inputs: dict[str, Step] = {}
        for collection in spec.over:  # before any training: a mistake in them should cost nothing
            inputs[collection_role(collection)] = self.collection(collection)
        groups = self.study.groups()
        for collection in spec.over:
            for where, systems in groups.items():
                for name in (name for runs in systems.values() for name in runs):
                    inputs[run_role(collection, where, name)] = self._run(name, collection, where)
        for ranker in self.study.evaluated_rankers():
            for collection in self.study.learnt_from(ranker):
                inputs[learnt_role(collection)] = self.collection(collection)
        params = EvaluateParams(
            spec,
            {name: self.study.collections[name].convention() for name in spec.over},
            self.study.seed,
            tuple(self.study.systems().items()),
        )
        return self.step(EVALUATE, "all", params, inputs)

    def _run(self, name: str, collection: str, where: str) -> Step:
        """The run of a first stage or ranker over a collection, re-ranked from a first stage or from all docs."""
        evaluation = self.study.evaluate
        if name in self.study.first_stages:
            return self.first_stage_run(name, collection)
        if where == ALL_DOCS:
            assert evaluation.search is not None
            how = evaluation.search
            searching = DenseSpec(
                kind="dense", ranker=name, index="exact", depth=how.depth, stored=how.stored
            )
            return searching.plan(self, name, collection)
        assert evaluation.rerank is not None
        again = evaluation.rerank
        return self.rerank(name, collection, where, again.depth, again.precision)


@dataclass(frozen=True)
class Plan:
    """The steps of a study, every step after its inputs."""

    study: LoadedStudy[Pipeline]
    steps: tuple[Step, ...]
