"""The kinds of steps from collections to measures, except first stages', and the params of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rankscope.data.collections import Source
from rankscope.data.conventions import Convention
from rankscope.models.location import Location
from rankscope.pipeline.spec.collections import CollectionSpec
from rankscope.pipeline.spec.evaluate import EvaluateSpec
from rankscope.pipeline.spec.fields import FREE
from rankscope.pipeline.spec.rankers import (
    BiEncoderSpec,
    CrossEncoderSpec,
    LateInteractionSpec,
    ScratchSpec,
)
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import FileTeacherSpec
from rankscope.pipeline.step import Kind


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


@dataclass(frozen=True)
class TeacherParams:
    """A teacher from a file."""

    spec: FileTeacherSpec
    rankings: Path
    candidates: Path | None


@dataclass(frozen=True)
class ScratchParams:
    """A backbone from nothing."""

    spec: ScratchSpec
    seed: int


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

    spec: CrossEncoderSpec | BiEncoderSpec | LateInteractionSpec
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


@dataclass(frozen=True)
class TrainParams:
    """A stage of fine-tuning."""

    spec: TrainedSpec
    keep: str
    seed: int
    stage: int
    """Its place in the ranker's lineage."""
    teacher_depths: tuple[int | None, ...]
    """Docs taken from each ranking of the teacher, of each loss; None where there is no teacher."""
    refreshed_drop_own_docs: bool = False
    """Whether negatives that the ranker finds itself are without docs of their query's id."""


@dataclass(frozen=True)
class EvaluateParams:
    """The measures and comparisons of an evaluation."""

    spec: EvaluateSpec
    conventions: Mapping[str, Convention]
    """Conventions by collection."""
    seed: int
    systems: tuple[tuple[str, tuple[str, ...]], ...]
    """Each system with its rankers, one for each seed."""


STEPS = "rankscope.pipeline.steps"
DOCS = Kind("docs", 1, f"{STEPS}.data:docs", DocsParams)
COLLECTION = Kind("collection", 1, f"{STEPS}.data:collection", CollectionParams)
TEACHER = Kind("teacher", 2, f"{STEPS}.data:teacher", TeacherParams)
SCRATCH = Kind(
    "scratch",
    1,
    f"{STEPS}.rankers:scratch_backbone",
    ScratchParams,
    is_shared=True,
    is_resumed=True,
)
RANKER = Kind("ranker", 2, f"{STEPS}.rankers:ranker", RankerParams)
RERANK = Kind("rerank", 3, f"{STEPS}.rankers:rerank", RerankParams, is_shared=True)
TRAIN = Kind("train", 6, f"{STEPS}.train:train", TrainParams, is_shared=True, is_resumed=True)
EVALUATE = Kind("evaluate", 9, f"{STEPS}.evaluate:evaluate", EvaluateParams)
