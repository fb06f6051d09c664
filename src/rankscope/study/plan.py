"""A study as an ordered list of steps with inputs. Pure: reads no data, loads no torch.

What a step is called comes from everything that could change its result: its kind and the kind's
version, its own fields, the bytes of the files it reads (through `digest`), and the fingerprints
of the steps before it. So changing stage two renames stage two and what hangs on it, nothing else.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, final

from rankscope.core.errors import BadStudy, choose
from rankscope.data.collections import IrDataset, LocalFiles, Source, beir_folder
from rankscope.data.published_curves import published_points
from rankscope.models.location import ADAPTER, MODEL, Location, located
from rankscope.store.fingerprint import fingerprint
from rankscope.study import lineages
from rankscope.study.load import LoadedStudy, expanded
from rankscope.study.spec import ALL_DOCS
from rankscope.study.spec_changes import ChangesSpec, ForgettingSpec
from rankscope.study.spec_data import (
    BeirSpec,
    BM25Spec,
    CollectionSpec,
    DenseSpec,
    FilesSpec,
    FuseSpec,
    LateSpec,
    RankerTeacherSpec,
    RunFilesSpec,
)
from rankscope.study.spec_explain import AttributionSpec, FileExamplesSpec, ProbesSpec
from rankscope.study.spec_fields import Spec
from rankscope.study.spec_rankers import (
    BiEncoderSpec,
    CropsSpec,
    CrossEncoderSpec,
    SamplesSpec,
    ScratchSpec,
    TrainedSpec,
)

VERSIONS = {
    "docs": 1,
    "collection": 1,
    "index": 1,
    "encode": 1,
    "search": 2,
    "fuse": 1,
    "scratch": 1,
    "ranker": 1,
    "teacher": 1,
    "train": 4,
    "rerank": 3,
    "evaluate": 3,
    "choices": 1,
    "represent": 1,
    "probe": 2,
    "conclude": 2,
    "attribute": 2,
    "neurons": 2,
    "change": 1,
    "heads": 1,
    "forgetting": 1,
    "report": 2,
}
"""Raise a kind's number when its meaning changes; nothing else makes stored results void."""

AT_RANDOM = "random weights"
"""What the first ranker's architecture without its weights is called."""
NOISY_DOCS, NOISY_EMBEDDINGS = "noisy queries' docs", "noisy queries' embeddings"
"""What a training on noisy queries calls the docs they are to score, and their embeddings, among its inputs."""
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
    doc_location: Location | None = None
    adapter: Location | None = None
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


def probe_role(ranker: str) -> str:
    """What the comparison of probes calls those of a ranker among its inputs."""
    return f"probe {ranker}"


def probes_role(key: str) -> str:
    """What the report calls the comparison of probes of one name among its inputs."""
    return f"probes {key}"


def attribute_role(ranker: str) -> str:
    """What the comparison of neurons calls a ranker's attributions among its inputs."""
    return f"attributions of {ranker}"


def neurons_role(key: str) -> str:
    """What the report calls what attribution found among its inputs."""
    return f"neurons {key}"


def change_role(kind: str, key: str, ranker: str) -> str:
    """What the report calls what moved in a ranker, or its heads fitted anew, among its inputs."""
    return f"{kind} {key} {ranker}"


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
        params: dict[str, Any] = {
            "digests": self._digests(source.topic_files()),
            "names": source.topic_names(),
            "part": spec.part,
            "queries": spec.queries,
            "seed": self.study.seed if spec.is_drawn else None,
        }
        if spec.noise:
            params["noise"] = spec.noise
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
        if isinstance(spec, DenseSpec):
            return self.search(spec.ranker, collection, spec.depth, index=spec.index)
        if isinstance(spec, LateSpec):
            inputs = {"collection": topics, "docs": docs, "ranker": self.ranker(spec.ranker)}
            return self._add(Step("search", label, {"depth": spec.depth}, inputs, spec=spec))
        if isinstance(spec, FuseSpec):
            runs = {f"run {name}": self.first_stage_run(name, collection) for name in spec.of}
            inputs = {"collection": topics, **runs}
            return self._add(Step("fuse", label, spec.identity(), inputs, spec=spec))
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
        location = doc_location = adapter = None
        if isinstance(spec, CrossEncoderSpec):
            params |= {"max_length": spec.max_length, "seed": self.study.seed_of(name)}
        elif isinstance(spec, BiEncoderSpec) and spec.model is None:
            sources = (
                "backbone", "revision", "doc_backbone", "doc_revision", "model",
                "adapter", "adapter_revision",
            )  # fmt: skip
            params |= spec.identity(*sources)
        elif isinstance(spec, BiEncoderSpec):
            params["towers"] = spec.towers
        written: Any = getattr(spec, "model", None) or getattr(spec, "backbone", None)
        if isinstance(written, ScratchSpec):
            inputs["backbone"] = self._scratch(self.study.system_of(name), written)
        else:
            assert written is not None
            location = self._located(name, written, spec.revision)
            params |= self._weights_of(location)
        if isinstance(spec, BiEncoderSpec) and spec.doc_backbone is not None:
            doc_location = self._located(
                name, spec.doc_backbone, spec.doc_revision, named="doc_revision"
            )
            params["doc"] = self._weights_of(doc_location)
        if isinstance(spec, BiEncoderSpec) and spec.adapter is not None:
            adapter = self._located(
                name, spec.adapter, spec.adapter_revision, named="adapter_revision", holds=ADAPTER
            )
            params["adapter"] = self._weights_of(adapter)
        step = Step(
            "ranker",
            name,
            params,
            inputs,
            spec=spec,
            location=location,
            doc_location=doc_location,
            adapter=adapter,
        )
        return self._add(step)

    def _weights_of(self, location: Location) -> dict[str, Any]:
        """What names the weights at a place: the bytes of its files, or a commit of the hub's."""
        files = location.files()
        digests = {
            path.relative_to(location.folder or "").as_posix(): self.digest(path) for path in files
        }
        return {"digests": digests, "hub": None if files else [location.name, location.revision]}

    def _located(
        self,
        ranker: str,
        written: str,
        revision: str | None,
        *,
        named: str = "revision",
        holds: Sequence[str] = MODEL,
    ) -> Location:
        revision = revision and expanded(revision)
        location = located(
            expanded(written), beside=self.loaded.folder, revision=revision, holds=holds
        )
        if location.folder is None and not COMMIT.fullmatch(revision or ""):
            raise BadStudy(
                f"rankers.{ranker}: {written!r} is no folder here, and a hub id needs `{named}`, the "
                "hash of a commit: results must rest on known weights. Copy it from the model's page."
                if revision is None
                else f"rankers.{ranker}.{named}: {revision!r} is not the hash of a commit (7 to 40 of "
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
        if not isinstance(spec.samples, SamplesSpec):
            if isinstance(spec.samples, CropsSpec):
                inputs[samples_role(0, "docs")] = self.docs(spec.samples.collection)
            else:
                queries = self.collection(spec.samples.collection)
                inputs[samples_role(0, "collection")] = queries
                if spec.samples.docs is not None:
                    inputs[NOISY_DOCS] = self.docs(spec.samples.docs)
                    inputs[NOISY_EMBEDDINGS] = self._encoded(spec.start, spec.samples.docs)
            learnt.append(spec.samples.identity("collection", "docs"))
        for place, (_, samples) in enumerate(spec.lessons):
            inputs |= self._sample_inputs(place, samples)
            teacher = self.study.teachers.get(samples.labels)
            learnt.append(
                samples.identity("collection", "labels", "negatives")
                | {
                    "negatives": samples.negatives
                    and samples.negatives.identity("first_stage", "rescored_by"),
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
        params = spec.identity(
            "start", "recipe", "keep", "samples", "mixed_with", "validate_on"
        ) | {
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
            mining = samples.negatives
            run = self.first_stage_run(mining.first_stage, samples.collection)
            if mining.rescored_by:
                made = (samples.collection, mining.first_stage, mining.depth)
                run = self.rerank(mining.rescored_by, *made)
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

    def search(self, ranker: str, collection: str, depth: int, *, index: str = "exact") -> Step:
        """A bi-encoder's nearest docs among all of a collection's."""
        inputs = {
            "collection": self.collection(collection),
            "docs": self.docs(collection),
            "ranker": self.ranker(ranker),
            "embeddings": self._encoded(ranker, collection),
        }
        params = {"depth": depth, "tag": ranker, "index": index}
        label = f"{ranker}.{collection}" + ("" if index == "exact" else f".{index}")
        return self._add(Step("search", label, params, inputs))

    def _encoded(self, ranker: str, collection: str) -> Step:
        """The embeddings of a collection's docs as a ranker has them."""
        docs, embedder = self.docs(collection), self._embedder(ranker)
        inputs = {"ranker": self.ranker(embedder), "docs": docs}
        return self._add(Step("encode", f"{embedder}.{docs.label}", {}, inputs))

    def _embedder(self, ranker: str) -> str:
        """Whose embeddings a ranker's docs have: those of the one it started from, if their tower was frozen."""
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
        for collection in spec.over:
            for where, systems in self.study.groups().items():
                for name in (name for runs in systems.values() for name in runs):
                    inputs[run_role(collection, where, name)] = self._run(name, collection, where)
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

    def _run(self, name: str, collection: str, where: str) -> Step:
        """The run of a first stage or ranker over a collection, from a first stage or all docs."""
        asked = self.study.evaluate
        if name in self.study.first_stages:
            return self.first_stage_run(name, collection)
        if where == ALL_DOCS:
            assert asked.search is not None
            return self.search(name, collection, asked.search.depth)
        assert asked.rerank is not None
        return self.rerank(name, collection, where, asked.rerank.depth)

    # -- explanation --

    def probes(self, key: str, asked: ProbesSpec) -> Step:
        """What the probes found in all rankers, compared."""
        choices = self._choices(key, asked)
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
        probed = self.study.probed_rankers(asked)
        for name in probed:
            inputs[probe_role(name)] = self._probe(key, name, choices, made)
        if asked.at_random:
            inputs[probe_role(AT_RANDOM)] = self._probe(
                key, probed[0], choices, made, at_random=True
            )
        params = {"margin": asked.margin, "baseline": asked.baseline or probed[:1], **made}
        paths = {}
        if asked.published:
            paths = {"published": self.loaded.path(asked.published.path)}
            known = {
                p.curve: p for p in published_points(paths["published"], asked.published.dataset)
            }
            for curve in asked.published.curves.values():
                choose(known, curve, what=f"curve in explain.probes.{key}.published")
            params["published"] = asked.published.identity("path") | {
                "digest": self.digest(paths["published"])
            }
        return self._add(Step("conclude", key, params, inputs, spec=asked, paths=paths))

    def _choices(self, key: str, asked: ProbesSpec) -> Step:
        drawn = asked.examples
        params: dict[str, Any] = {"n_docs": max(asked.candidates), "seed": self.study.seed}
        if isinstance(drawn, FileExamplesSpec):
            paths = {"train": self.loaded.path(drawn.train), "test": self.loaded.path(drawn.test)}
            params |= {"kind": drawn.kind, "method": asked.method}
            params |= {"digests": {part: self.digest(path) for part, path in paths.items()}}
            return self._add(Step("choices", key, params, {}, spec=asked, paths=paths))
        if self.docs(drawn.over) is not self.docs(drawn.train):
            raise BadStudy(
                f"explain.probes.{key}: {drawn.train} and {drawn.over} have other docs. Train and test probes "
                "over the same."
            )
        inputs = {"docs": self.docs(drawn.over)}
        for role, name in (("train", drawn.train), ("test", drawn.over)):
            inputs[f"{role} collection"] = self.collection(name)
            inputs[f"{role} run"] = self.first_stage_run(drawn.first_stage, name)
        params |= drawn.identity("over", "train", "first_stage", "kind")
        return self._add(Step("choices", key, params, inputs, spec=asked))

    def _probe(
        self,
        key: str,
        ranker: str,
        choices: Step,
        made: Mapping[str, Any],
        *,
        at_random: bool = False,
    ) -> Step:
        inputs = {
            "ranker": self.ranker(ranker),
            "choices": choices,
            "docs": choices.inputs.get("docs", choices),
        }
        label = f"{ranker}.random.{key}" if at_random else f"{ranker}.{key}"
        of_pairs = not self.study.is_bi_encoder(ranker)  # then the seed draws others' queries
        params = {
            "at_random": self.study.seed if at_random else None,
            "seed": self.study.seed if of_pairs else None,
            "pooling": self.study.probes[key].pooling,
            "dtype": self.study.probes[key].dtype,
        }
        states = self._add(Step("represent", label, params, inputs))
        found = {"states": states, "choices": choices}
        spec = self.study.probes[key]
        return self._add(Step("probe", label, {**made, "seed": self.study.seed}, found, spec=spec))

    def attribution(self, key: str, asked: AttributionSpec) -> Step:
        """The neurons of all rankers, compared."""
        attributed = self.study.probed_rankers(asked)
        told = ("threshold", "margin")  # what is said of attributions, not what they are
        made = asked.identity("over", "first_stage", "file", "rankers", "baseline", *told)
        inputs, paths = {}, {}
        if asked.over and asked.first_stage:
            inputs = {
                "docs": self.docs(asked.over),
                "collection": self.collection(asked.over),
                "run": self.first_stage_run(asked.first_stage, asked.over),
            }
        if asked.file:
            paths = {"file": self.loaded.path(asked.file.path)}
            made["file"] = asked.file.identity("path") | {"digest": self.digest(paths["file"])}
        by_ranker = {
            attribute_role(name): self._add(
                Step(
                    "attribute",
                    f"{name}.{key}",
                    {**made, "seed": self.study.seed},
                    {**inputs, "ranker": self.ranker(name)},
                    spec=asked,
                    paths=paths,
                )
            )
            for name in attributed
        }
        params = {"baseline": asked.baseline or attributed[:1], **made}
        params |= {name: getattr(asked, name) for name in told} | {"seed": self.study.seed}
        return self._add(Step("neurons", key, params, by_ranker, spec=asked))

    def changes(self, key: str, asked: ChangesSpec) -> dict[str, Step]:
        """What moved between every pair, and the heads fitted anew, by their roles in the report."""
        found: dict[str, Step] = {}
        depth = lineages.changed_depth(self.study, asked)
        for after, before in lineages.changed_pairs(self.study, asked).items():
            inputs = {
                "before": self.ranker(before),
                "after": self.ranker(after),
                "docs": self.docs(asked.over),
                "collection": self.collection(asked.over),
                "run": self.first_stage_run(asked.first_stage, asked.over),
                "before run": self.rerank(before, asked.over, asked.first_stage, depth),
                "after run": self.rerank(after, asked.over, asked.first_stage, depth),
            }
            params = {"names": [before, after], "over": asked.over, "depth": depth}
            params |= {"seed": self.study.seed, "texts": asked.texts, "k": asked.neighbours}
            change = Step("change", f"{after}.{key}", params, inputs, spec=asked)
            found[change_role("change", key, after)] = self._add(change)
            if after in lineages.with_heads(self.study, asked):
                found[change_role("heads", key, after)] = self._heads(key, asked, after, inputs)
        return found

    def _heads(self, key: str, asked: ChangesSpec, after: str, inputs: dict[str, Step]) -> Step:
        """Heads fitted anew on the encoders of a pair."""
        assert asked.heads is not None
        train, over = asked.heads.train, asked.over
        if self.docs(train) is not self.docs(over):
            raise BadStudy(
                f"explain.changes.{key}.heads: {train} and {over} have other docs. Fit heads over the same."
            )
        inputs = inputs | {
            "train collection": self.collection(train),
            "train run": self.first_stage_run(asked.first_stage, train),
        }
        params = asked.heads.identity("train", "rankers", "measure") | {
            "depth": lineages.changed_depth(self.study, asked),
            "measure": asked.heads.measure or self.study.evaluate.measures[0],
            "significance_level": self.study.evaluate.significance_level,
            "convention": asdict(self.study.collections[over].convention()),
            "seed": self.study.seed,
        }
        return self._add(Step("heads", f"{after}.{key}", params, inputs, spec=asked))

    def forgetting(self, asked: ForgettingSpec) -> Step:
        """Rankers x collections, from what the evaluation measured."""
        study = self.study
        against = lineages.held_against(study, asked)
        knows = {
            baseline: [
                name
                for name in study.evaluate.over
                if any(
                    self.docs(name) is self.docs(learnt)
                    for learnt in lineages.taught(study, baseline)
                )
            ]
            for baseline in against.values()
        }
        params = {
            "against": against,
            "taught": knows,
            "measure": asked.measure or study.evaluate.measures[0],
        }
        return self._add(
            Step("forgetting", "all", params, {"evaluate": self.evaluate()}, spec=asked)
        )

    def report(self) -> Step:
        """The page; it reads everything before it."""
        evaluate = self.evaluate()
        inputs = {"evaluate": evaluate}
        params = {"study": self.study.model_dump(mode="json", by_alias=True)}
        for collection in self.study.evaluate.over:
            inputs[docs_role(collection)] = self.docs(collection)
        for key, asked in self.study.probes.items():
            inputs[probes_role(key)] = self.probes(key, asked)
        for key, wanted in self.study.attribution.items():
            inputs[neurons_role(key)] = self.attribution(key, wanted)
        for key, changed in self.study.changes.items():
            inputs |= self.changes(key, changed)
        if self.study.explain and self.study.explain.forgetting:
            inputs["forgetting"] = self.forgetting(self.study.explain.forgetting)
        for step in list(self.steps.values()):
            if step.kind == "train":
                inputs[train_role(step.label)] = step
        return self._add(Step("report", self.study.study, params, inputs))
