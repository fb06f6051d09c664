"""Steps of data: the docs of a collection, and its queries and qrels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.data.collections import IrDataset, LocalFiles, Source, beir_folder
from rankscope.data.public import places
from rankscope.pipeline.plans.planning import StudyPlanning
from rankscope.pipeline.spec.collections import BeirSpec, CollectionSpec, FilesSpec, PublicSpec
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
    return IrDataset(spec.id)
