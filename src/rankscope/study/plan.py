"""A study as an ordered list of steps with inputs. Pure: reads no data, loads no torch.

What a step is called comes from everything that could change its result: its kind and the kind's
version, its own fields, the bytes of the files it reads (through `digest`), and the fingerprints
of the steps before it. So changing stage two renames stage two and what hangs on it, nothing else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

from rankscope.core.errors import BadStudy, choose
from rankscope.data.collections import IrDataset, LocalFiles, Source, beir_folder
from rankscope.models.location import Location, located
from rankscope.store.fingerprint import fingerprint
from rankscope.study.load import LoadedStudy, expanded
from rankscope.study.spec_data import (
    BeirSpec,
    BM25Spec,
    CollectionSpec,
    FilesSpec,
    RankerTeacherSpec,
    RunFilesSpec,
)
from rankscope.study.spec_fields import Spec
from rankscope.study.spec_rankers import CrossEncoderSpec, SamplesSpec, ScratchSpec, TrainedSpec

VERSIONS = {
    "docs": 1,
    "collection": 1,
    "index": 1,
    "search": 2,
    "scratch": 1,
    "ranker": 1,
    "teacher": 1,
    "train": 4,
    "rerank": 3,
    "evaluate": 3,
    "report": 2,
}
"""Raise a kind's number when its meaning changes; nothing else makes stored results void."""

Digest = Callable[[Path], str]
COMMIT = re.compile("[0-9a-f]{7,40}")


@final
@dataclass(frozen=True)
class Step:
    """One cached piece of work: (params, inputs) -> a folder of files.

    The folder is called by kind, label and fingerprint; the label is for people, and a step that
    gets another one is carried out again.

    `params` is what names it; `spec`, `source`, `location` and `paths` are what carrying it out
    needs beside that.
    """

    kind: str
    label: str
    params: Mapping[str, Any]
    inputs: Mapping[str, "Step"]
    spec: Spec | None = None
    source: Source | None = None
    location: Location | None = None
    paths: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that could change the result."""
        inputs = {role: step.fingerprint for role, step in self.inputs.items()}
        return fingerprint(self.kind, VERSIONS[self.kind], self.params, inputs)

    @property
    def name(self) -> str:
        """The name of the step's folder."""
        return f"{self.kind}-{self.label}-{self.fingerprint}"


def collection_role(collection: str) -> str:
    """What an evaluation or a training calls a collection among its inputs."""
    return f"collection {collection}"


def run_role(collection: str, first_stage: str, system: str) -> str:
    """What the evaluation calls a system's run among its inputs."""
    return f"run {collection} {first_stage} {system}"


def learnt_role(collection: str) -> str:
    """What the evaluation calls a collection that rankers were trained on among its inputs."""
    return f"learnt {collection}"


def docs_role(collection: str) -> str:
    """What a training or the report calls a collection's docs among its inputs."""
    return f"docs {collection}"


def samples_role(place: int, what: str) -> str:
    """What a training calls the docs, the collection or the run of its first or second samples."""
    return f"samples {place} {what}"


def validation_role(collection: str) -> str:
    """What a training calls the run over a validation collection among its inputs."""
    return f"validation run {collection}"


def train_role(ranker: str) -> str:
    """What the report calls a training among its inputs."""
    return f"train {ranker}"


@dataclass(frozen=True)
class Plan:
    """The steps of a study, every step after its inputs."""

    study: LoadedStudy
    steps: tuple[Step, ...]


def plan(loaded: LoadedStudy, digest: Digest) -> Plan:
    """The steps of a study. `digest` gives the hash of a file; sources that are absent are named."""
    planner = _Planner(loaded, digest)
    planner.report()
    return Plan(loaded, tuple(planner.steps.values()))


class _Planner:
    """Builds steps on demand, each once, inputs first."""

    def __init__(self, loaded: LoadedStudy, digest: Digest) -> None:
        self.loaded, self.study, self.digest = loaded, loaded.study, digest
        self.steps: dict[str, Step] = {}

    def _add(self, step: Step) -> Step:
        return self.steps.setdefault(step.fingerprint, step)

    def _digests(self, paths: tuple[Path, ...]) -> list[str]:
        return [self.digest(path) for path in paths]

    # -- data --

    def _source(self, spec: CollectionSpec) -> Source:
        if isinstance(spec, BeirSpec):
            return beir_folder(self.loaded.path(spec.path), spec.split)
        if isinstance(spec, FilesSpec):
            names = (spec.docs, spec.queries_file, spec.qrels)
            return LocalFiles(*(self.loaded.path(name) for name in names))
        return IrDataset(spec.id)

    def docs(self, name: str) -> Step:
        """The docs of a collection; collections over the same docs share the step."""
        source = self._source(self.study.collections[name])
        params = {"digests": self._digests(source.doc_files()), "names": source.doc_names()}
        return self._add(Step("docs", name, params, {}, source=source))

    def collection(self, name: str) -> Step:
        """Queries and qrels of a collection."""
        spec = self.study.collections[name]
        source = self._source(spec)
        params = {
            "digests": self._digests(source.topic_files()),
            "names": source.topic_names(),
            "part": spec.part,
            "queries": spec.queries,
            "seed": self.study.seed if spec.part != (0.0, 1.0) or spec.queries else None,
        }
        inputs = {"docs": self.docs(name)}
        return self._add(Step("collection", name, params, inputs, spec=spec, source=source))

    def first_stage_run(self, first_stage: str, collection: str) -> Step:
        """The first stage's run over a collection."""
        spec = self.study.first_stages[first_stage]
        topics, docs = self.collection(collection), self.docs(collection)
        label = f"{first_stage}.{collection}"
        if isinstance(spec, BM25Spec):
            index = self._add(
                Step("index", first_stage, spec.identity("depth"), {"docs": docs}, spec=spec)
            )
            inputs = {"collection": topics, "index": index}
            return self._add(Step("search", label, {"depth": spec.depth}, inputs, spec=spec))
        path = self._run_file(spec, first_stage, collection)
        params = {"digest": self.digest(path), "depth": spec.depth}
        inputs = {"collection": topics, "docs": docs}
        return self._add(Step("search", label, params, inputs, spec=spec, paths={"run": path}))

    def _run_file(self, spec: RunFilesSpec, first_stage: str, collection: str) -> Path:
        what = f"run file in first_stages.{first_stage}.paths"
        return self.loaded.path(choose(spec.paths, collection, what=what))

    # -- rankers --

    def ranker(self, name: str) -> Step:
        """A ranker's weights: a loaded model, or the outcome of a stage."""
        spec = self.study.rankers[name]
        if isinstance(spec, TrainedSpec):
            return self._trained(name, spec)
        params: dict[str, Any] = {"kind": spec.kind}
        inputs: dict[str, Step] = {}
        location = None
        if isinstance(spec, CrossEncoderSpec):
            params |= {"max_length": spec.max_length, "seed": self.study.seed_of(name)}
            if isinstance(spec.backbone, ScratchSpec):
                inputs["backbone"] = self._scratch(self.study.system_of(name), spec.backbone)
            else:
                location = self._located(name, spec.backbone, spec.revision)
        else:
            location = self._located(name, spec.model, spec.revision)
        if location is not None:
            files = location.files()
            params["digests"] = {
                path.relative_to(location.folder or "").as_posix(): self.digest(path)
                for path in files
            }
            params["hub"] = None if files else [location.name, location.revision]
        return self._add(Step("ranker", name, params, inputs, spec=spec, location=location))

    def _located(self, ranker: str, written: str, revision: str | None) -> Location:
        revision = revision and expanded(revision)
        location = located(expanded(written), beside=self.loaded.folder, revision=revision)
        if location.folder is None and not COMMIT.fullmatch(revision or ""):
            raise BadStudy(
                f"rankers.{ranker}: {written!r} is no folder here, and a hub id needs `revision`, the "
                "hash of a commit: results must rest on known weights. Copy it from the model's page."
                if revision is None
                else f"rankers.{ranker}.revision: {revision!r} is not the hash of a commit (7 to 40 of "
                "0-9 and a-f), and a branch or tag may move. Copy the hash from the model's page."
            )
        return location

    def _scratch(self, name: str, spec: ScratchSpec) -> Step:
        params = spec.identity("collection") | {"seed": self.study.seed}
        return self._add(
            Step("scratch", name, params, {"docs": self.docs(spec.collection)}, spec=spec)
        )

    def _trained(self, name: str, spec: TrainedSpec) -> Step:
        watched = spec.validate_on
        inputs = {"start": self.ranker(spec.start)}
        learnt = []
        for place, (_, samples) in enumerate(spec.lessons):
            inputs |= self._sample_inputs(place, samples)
            teacher = self.study.teachers.get(samples.labels)
            learnt.append(
                samples.identity("collection", "labels", "negatives")
                | {
                    "negatives": samples.negatives and samples.negatives.identity("first_stage"),
                    "teacher_depth": teacher and teacher.depth,
                }
            )
        for collection in watched.collections if watched else ():
            assert watched is not None
            inputs[collection_role(collection)] = self.collection(collection)
            inputs[docs_role(collection)] = self.docs(collection)
            inputs[validation_role(collection)] = self.first_stage_run(
                watched.first_stage, collection
            )
        mixed = spec.mixed_with
        params = spec.identity("start", "keep", "samples", "mixed_with", "validate_on") | {
            "keep": spec.kept,
            "seed": self.study.seed_of(name),
            "stage": len(self.study.lineage(name)) - 1,
            "samples": learnt,
            "mixed_with": mixed and mixed.identity("samples"),
            "validate": watched and watched.identity("first_stage"),
        }
        return self._add(Step("train", name, params, inputs, spec=spec))

    def _sample_inputs(self, place: int, samples: SamplesSpec) -> dict[str, Step]:
        inputs = {
            samples_role(place, "docs"): self.docs(samples.collection),
            samples_role(place, "collection"): self.collection(samples.collection),
        }
        if samples.negatives is None:
            run = self._teacher_run(samples.labels, samples.collection)
        else:
            run = self.first_stage_run(samples.negatives.first_stage, samples.collection)
        return inputs | {samples_role(place, "run"): run}

    def _teacher_run(self, name: str, collection: str) -> Step:
        teacher = self.study.teachers[name]
        if isinstance(teacher, RankerTeacherSpec):
            return self.rerank(teacher.ranker, collection, teacher.candidates, teacher.depth)
        written = {"path": teacher.path, "candidates": teacher.candidates}
        paths = {role: self.loaded.path(name) for role, name in written.items() if name}
        inputs = {"collection": self.collection(collection), "docs": self.docs(collection)}
        params = teacher.identity(*written) | {
            "digests": {role: self.digest(path) for role, path in paths.items()}
        }
        label = f"{name}.{collection}"
        return self._add(Step("teacher", label, params, inputs, spec=teacher, paths=paths))

    # -- evaluation --

    def rerank(self, ranker: str, collection: str, first_stage: str, depth: int) -> Step:
        """A ranker's re-ranking of a first stage's run."""
        inputs = {
            "ranker": self.ranker(ranker),
            "collection": self.collection(collection),
            "docs": self.docs(collection),
            "run": self.first_stage_run(first_stage, collection),
        }
        label = f"{ranker}.{collection}.{first_stage}"
        return self._add(Step("rerank", label, {"depth": depth, "tag": ranker}, inputs))

    def evaluate(self) -> Step:
        """Measures and comparisons of all runs."""
        spec = self.study.evaluate
        inputs: dict[str, Step] = {}
        for collection in spec.over:  # before any training: a mistake in them should cost nothing
            inputs[collection_role(collection)] = self.collection(collection)
        for collection in spec.over:
            for first_stage in spec.rerank.first_stages:
                inputs[run_role(collection, first_stage, first_stage)] = self.first_stage_run(
                    first_stage, collection
                )
                for ranker in self.study.evaluated_rankers():
                    inputs[run_role(collection, first_stage, ranker)] = self.rerank(
                        ranker, collection, first_stage, spec.rerank.depth
                    )
        for ranker in self.study.evaluated_rankers():
            for collection in self.study.learnt_from(ranker):
                inputs[learnt_role(collection)] = self.collection(collection)
        conventions = {
            name: asdict(self.study.collections[name].convention()) for name in spec.over
        }
        params = spec.identity() | {
            "conventions": conventions,
            "seed": self.study.seed,
            "systems": [[system, list(runs)] for system, runs in self.study.systems().items()],
        }
        return self._add(Step("evaluate", "all", params, inputs, spec=spec))

    def report(self) -> Step:
        """The page; it reads everything before it."""
        evaluate = self.evaluate()
        inputs = {"evaluate": evaluate}
        params = {"study": self.study.model_dump(mode="json", by_alias=True)}
        for collection in self.study.evaluate.over:
            inputs[docs_role(collection)] = self.docs(collection)
        for step in list(self.steps.values()):
            if step.kind == "train":
                inputs[train_role(step.label)] = step
        return self._add(Step("report", self.study.study, params, inputs))
