"""The steps of a study, each made once, inputs first. How each is planned stands beside its kind, in `plans`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief
from rankscope.models.location import Location, located
from rankscope.pipeline.first_stages.first_stage import FirstStage
from rankscope.pipeline.first_stages.table import SEARCH, SearchParams
from rankscope.pipeline.identity import Digest, identity
from rankscope.pipeline.paths import LoadedStudy
from rankscope.pipeline.plans import data, evaluate, rankers, teachers, train
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.step import Kind, Step

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

    @_once
    def located(self, written: str, revision: str | None, holds: tuple[str, ...]) -> Location:
        """Where a model is, by its path, which is beside the study file, or its hub id."""
        return located(written, beside=self.loaded.folder, revision=revision, holds=holds)

    @_once
    def docs(self, name: str) -> Step:
        """The docs of a collection."""
        return data.docs(self, name)

    @_once
    def collection(self, name: str) -> Step:
        """Queries and qrels of a collection."""
        return data.collection(self, name)

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

    @_once
    def teacher_run(self, teacher: str, collection: str) -> Step:
        """A teacher's rankings of a collection's queries."""
        return teachers.teacher_run(self, teacher, collection)

    @_once
    def ranker(self, name: str) -> Step:
        """A ranker's weights: a loaded model, or the outcome of a stage."""
        spec = self.study.rankers[name]
        if isinstance(spec, TrainedSpec):
            return train.trained(self, name, spec)
        return rankers.ranker(self, name, spec)

    def embedder(self, ranker: str) -> str:
        """The ranker whose embeddings a ranker's docs have."""
        return rankers.embedder(self.study, ranker)

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
        return rankers.rerank(self, ranker, collection, first_stage, depth, precision)

    def evaluate(self) -> Step:
        """Measures and comparisons of all runs."""
        return evaluate.evaluate(self)


@dataclass(frozen=True)
class Plan:
    """The steps of a study, every step after its inputs."""

    study: LoadedStudy[Pipeline]
    steps: tuple[Step, ...]
