"""A study from collections to measures: the rankers it trains, and their evaluation."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from pydantic import Field

from rankscope.pipeline.first_stages.table import FirstStageSpec
from rankscope.pipeline.spec.collections import CollectionSpec
from rankscope.pipeline.spec.evaluate import EvaluateSpec
from rankscope.pipeline.spec.fields import Name, RankerName, Seed, Spec
from rankscope.pipeline.spec.rankers import (
    BiEncoderSpec,
    LateInteractionSpec,
    RankerSpec,
    system_of,
)
from rankscope.pipeline.spec.samples import NoisyQueriesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import LLMTeacherSpec, RankerTeacherSpec, TeacherSpec

ALL_DOCS = "all docs"
"""The place of a run whose docs no first stage chose."""


class Pipeline(Spec):
    """A study from collections to measures: the rankers it trains, and their evaluation."""

    study: Name = Field(description="The name of the study; its results folder is called so.")
    seed: Seed = Field(42, description="Seed of every random draw.")
    collections: dict[Name, CollectionSpec] = Field(
        min_length=1, description="Collections by name."
    )
    first_stages: dict[Name, FirstStageSpec] = Field(
        min_length=1, description="First stages by name."
    )
    teachers: dict[Name, TeacherSpec] = Field(default_factory=dict, description="Teachers by name.")
    rankers: dict[RankerName, RankerSpec] = Field(min_length=1, description="Rankers by name.")
    evaluate: EvaluateSpec

    def is_bi_encoder(self, ranker: str) -> bool:
        """Whether a ranker, or what it was tuned from, reads queries and docs apart."""
        return isinstance(self.rankers[self.lineage(ranker)[0]], BiEncoderSpec)

    def compares_tokens(self, ranker: str) -> bool:
        """Whether a ranker is a ColBERT, which is neither a cross-encoder nor a bi-encoder."""
        return isinstance(self.rankers[self.lineage(ranker)[0]], LateInteractionSpec)

    def groups(self, collection: str) -> dict[str, dict[str, tuple[str, ...]]]:
        """The systems that are compared with each other over a collection, and the runs of each, by the first stage that chose the docs.

        A first stage and all rankers, and LLMs, that re-order it; and under ALL_DOCS the bi-encoders that
        search, with the first stages beside them.
        """
        evaluation, by_first_stage = self.evaluate, {}
        for name in evaluation.rerank.first_stages if evaluation.rerank else ():
            llms = {llm: (llm,) for llm in self._llms(collection, name)}
            by_first_stage[name] = {name: (name,), **llms, **self.systems()}
        if evaluation.search:
            by_first_stage[ALL_DOCS] = {
                name: (name,) for name in evaluation.search.first_stages
            } | {
                system: runs
                for system, runs in self.systems().items()
                if self.is_bi_encoder(runs[0])
            }
        return by_first_stage

    def _llms(self, collection: str, first_stage: str) -> Iterator[str]:
        """The teachers that are systems over a collection, of those that order the docs of a first stage."""
        for name, collections in self.evaluate.teachers.items():
            teacher = self.teachers[name]
            is_asked_here = isinstance(teacher, LLMTeacherSpec) and teacher.shown == first_stage
            if is_asked_here and collection in collections:
                yield name

    def lists_learnt(self, system: str) -> set[str]:
        """The teachers whose lists a system's rankers, or their ancestors, learnt from."""
        stages = {name for ranker in self.systems().get(system, ()) for name in self.lineage(ranker)}  # fmt: skip
        specs = [spec for name in stages if isinstance(spec := self.rankers[name], TrainedSpec)]
        return {samples.labels for spec in specs for _, samples in spec.lessons} & {*self.teachers}

    def lineage(self, name: str) -> list[str]:
        """The rankers from the first ancestor to `name`."""
        path = [name]
        while isinstance(spec := self.rankers[path[-1]], TrainedSpec):
            path.append(spec.start)
        return path[::-1]

    def learnt_from(self, name: str) -> list[str]:
        """The collections whose queries a ranker, its ancestors or their teachers were trained on."""
        return list(dict.fromkeys(collection for _, collection in self.lessons(name)))

    def lessons(self, name: str) -> Iterator[tuple[str, str]]:
        """(stage, collection it learns queries of) of a ranker, its ancestors and their teachers, each once."""
        yield from self._lessons(name, set())

    def _lessons(self, name: str, seen: set[str]) -> Iterator[tuple[str, str]]:
        for ancestor in self.lineage(name):
            if ancestor not in seen:
                seen.add(ancestor)
                yield from ((ancestor, collection) for collection in self._trained_on(ancestor))
                for teacher in self._taught_by(ancestor):
                    yield from self._lessons(teacher, seen)

    def learnt_in(self, stages: Sequence[str]) -> list[str]:
        """The collections whose queries these rankers learnt in their own stages; teachers do not count."""
        return list(
            dict.fromkeys(collection for name in stages for collection in self._trained_on(name))
        )

    def _trained_on(self, name: str) -> Iterator[str]:
        """The collections whose queries one stage learns from."""
        spec = self.rankers[name]
        if isinstance(spec, TrainedSpec):
            if isinstance(spec.samples, NoisyQueriesSpec):
                yield spec.samples.collection
            yield from (samples.collection for _, samples in spec.lessons)

    def _taught_by(self, name: str) -> Iterator[str]:
        """The rankers that label or choose the samples of one stage."""
        spec = self.rankers[name]
        for _, samples in spec.lessons if isinstance(spec, TrainedSpec) else ():
            teacher = self.teachers.get(samples.labels)
            if isinstance(teacher, RankerTeacherSpec):
                yield teacher.ranker
            if samples.negatives and samples.negatives.rescored_by:
                yield samples.negatives.rescored_by

    def evaluated_rankers(self) -> tuple[str, ...]:
        """The rankers that are evaluated, in the study's order."""
        return self.evaluate.rankers or tuple(self.rankers)

    def seed_of(self, ranker: str) -> int:
        """The seed of what is drawn for a ranker: its own, or the study's."""
        seed = getattr(self.rankers[ranker], "seed", None)
        return self.seed if seed is None else seed

    def system_of(self, ranker: str) -> str:
        """The system of a ranker: the common name of the rankers that differ from it in the seed alone."""
        return system_of(ranker, getattr(self.rankers[ranker], "seed", None))

    def systems(self) -> dict[str, tuple[str, ...]]:
        """The systems that are compared: a name, and the evaluated rankers under it, one for each seed."""
        return dict(self.rankers_by_system)

    @cached_property
    def rankers_by_system(self) -> dict[str, tuple[str, ...]]:
        """The same as `systems`, made once."""
        by_system: dict[str, list[str]] = {}
        for ranker in (name for name in self.evaluated_rankers() if name in self.rankers):
            by_system.setdefault(self.system_of(ranker), []).append(ranker)
        return {system: tuple(rankers) for system, rankers in by_system.items()}
