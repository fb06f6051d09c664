"""Steps of data: the docs of a collection, and its queries and qrels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.data.collections import IrDataset, LocalFiles, Source, beir_folder
from rankscope.data.facts import files_of
from rankscope.data.public import places
from rankscope.data.world.knowing import WorldSource, world_name
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.collections import (
    BeirSpec,
    CollectionSpec,
    FactFilesSpec,
    FactsSpec,
    FilesSpec,
    PublicSpec,
    WorldSpec,
)
from rankscope.pipeline.spec.fields import FREE
from rankscope.pipeline.step import Kind, Step


@dataclass(frozen=True)
class DocsParams:
    """Docs from a source: files, or names of their content."""

    source: Source = field(metadata=FREE)
    digests: tuple[Path, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class CollectionParams:
    """Queries and qrels from a source, and the choice among them."""

    spec: CollectionSpec
    source: Source = field(metadata=FREE)
    digests: tuple[Path, ...]
    names: Mapping[str, str]
    seed: int | None
    """None if nothing is drawn."""


DOCS = Kind("docs", 1, "rankscope.pipeline.steps.data:docs", DocsParams)
COLLECTION = Kind("collection", 1, "rankscope.pipeline.steps.data:collection", CollectionParams)


def docs(planning: StudyPlanning, name: str) -> Step:
    """The docs of a collection; collections over the same docs share the step."""
    source = _source(planning, planning.study.collections[name])
    params = DocsParams(source, source.doc_files(), source.doc_names())
    return planning.step(DOCS, name, params, {})


def collection(planning: StudyPlanning, name: str) -> Step:
    """Queries and qrels of a collection."""
    spec = planning.study.collections[name]
    source = _source(planning, spec)
    seed = planning.study.seed if spec.is_drawn else None
    params = CollectionParams(spec, source, source.topic_files(), source.topic_names(), seed)
    return planning.step(COLLECTION, name, params, {"docs": planning.docs(name)})


def _source(planning: StudyPlanning, spec: CollectionSpec) -> Source:
    if isinstance(spec, BeirSpec):
        return beir_folder(planning.path(spec.path), spec.split)
    if isinstance(spec, FilesSpec):
        names = (spec.docs, spec.queries_file, spec.qrels)
        return LocalFiles(*(planning.path(name) for name in names))
    if isinstance(spec, PublicSpec):
        return beir_folder(places.folder_of(spec.id), spec.split)
    if isinstance(spec, WorldSpec):
        return WorldSource(
            spec.seed,
            spec.people,
            spec.groups,
            spec.text,
            untold=_groups(spec.untold) or (),
            asked=_groups(spec.asked),
            shown=_groups(spec.shown),
        )
    return IrDataset(spec.id)


def _groups(numbers: tuple[int, ...] | None) -> tuple[str, ...] | None:
    """Groups as facts name them."""
    return None if numbers is None else tuple(map(str, numbers))


@dataclass(frozen=True)
class FactsParams:
    """Facts, by the bytes of their files, or by the settings of the world that they are of."""

    spec: FactsSpec = field(metadata=FREE)
    files: tuple[Path, ...]
    """facts.jsonl and relations.json; none of a world."""
    names: Mapping[str, str]


def facts(planning: StudyPlanning, spec: FactsSpec) -> FactsParams:
    """The facts that a part of a study names."""
    if isinstance(spec, FactFilesSpec):
        return FactsParams(spec, files_of(planning.path(spec.path)), {})
    return FactsParams(spec, (), {"knowing world": world_name(spec.seed, spec.people, spec.groups)})
