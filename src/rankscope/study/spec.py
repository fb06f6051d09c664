"""What may stand in a study file: the whole, whose names must lead somewhere.

Names in a study refer to one another (a ranker starts from a ranker, samples are labelled by a
teacher, a run comes from a first stage); `Study` checks that every name leads somewhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, Self

from pydantic import Field, model_validator

from rankscope.core.errors import BadStudy, UnknownChoice, choose, listed
from rankscope.study import chains, consistency, lineages
from rankscope.study.mistakes import MOST, all_hold
from rankscope.study.spec_changes import ChangesSpec
from rankscope.study.spec_data import (
    CollectionSpec,
    DenseSpec,
    FirstStageSpec,
    FuseSpec,
    LateSpec,
    RankerTeacherSpec,
    RunFilesSpec,
    TeacherSpec,
)
from rankscope.study.spec_evaluate import EvaluateSpec
from rankscope.study.spec_explain import AttributionSpec, ExplainSpec, ProbesSpec, RunExamplesSpec
from rankscope.study.spec_fields import Name, RankerName, Seed, Spec
from rankscope.study.spec_rankers import (
    BiEncoderSpec,
    NoisyQueriesSpec,
    RankerSpec,
    SamplesSpec,
    ScratchSpec,
    TrainedSpec,
    system_of,
)
from rankscope.train.needs import NEEDS

ALL_DOCS = "all docs"
"""Where the docs of a run come from that no first stage chose."""


class Reference(NamedTuple):
    """A place of the study that names something, and the table where it must stand."""

    place: str
    name: str
    table: Mapping[str, Any]
    what: str


def _nowhere(reference: Reference) -> str:
    try:
        choose(reference.table, reference.name, what=reference.what)
    except UnknownChoice as error:
        return f"{reference.place}: {error}"
    return ""


def _refuse(mistakes: Iterable[str]) -> None:
    """BadStudy with the mistakes, if there are any."""
    found = list(mistakes)
    if found:
        raise BadStudy(*found)


def _place(ranker: str) -> str:
    """Where a ranker stands in the file: members of a sweep are called by more than stands there."""
    return f"rankers.{ranker.partition('.')[0]}"


class Study(Spec):
    """A whole study file."""

    study: Name = Field(description="The name of the study; its results folder is called so.")
    seed: Seed = Field(42, description="Of every random draw.")
    collections: dict[Name, CollectionSpec] = Field(min_length=1, description="By name.")
    first_stages: dict[Name, FirstStageSpec] = Field(min_length=1, description="By name.")
    teachers: dict[Name, TeacherSpec] = Field(default_factory=dict, description="By name.")
    rankers: dict[RankerName, RankerSpec] = Field(min_length=1, description="By name.")
    evaluate: EvaluateSpec
    explain: ExplainSpec | None = Field(None, description="Inside the rankers.")

    @model_validator(mode="after")
    def _every_name_leads_somewhere(self) -> Self:
        unknown = {
            (reference.place, reference.name): reference
            for reference in self._references()
            if reference.name not in reference.table
        }
        if unknown:
            told, counted = [*unknown.values()][:MOST], [*unknown.values()][MOST:]
            raise BadStudy(
                *map(_nowhere, told), *(f"{each.place}: {each.name}" for each in counted)
            )
        for name in self.rankers:
            system = self.system_of(name)
            if system in self.first_stages:
                raise BadStudy(f"rankers.{system}: a first stage has this name too. Rename one.")
            if system != name and system in self.rankers:
                raise BadStudy(f"rankers.{system}: {name} is a seed of this name too. Rename one.")
        chains.nothing_rests_on_itself(self)
        return self

    @model_validator(mode="after")
    def _its_parts_go_together(self) -> Self:
        rules: tuple[Callable[[Study], None], ...] = (
            consistency.only_bi_encoders_search,
            consistency.fields_of_bi_encoders,
            consistency.probed_rankers_are_of_a_kind,
            consistency.probes_compare_the_probed,
            consistency.probes_are_not_fed_by_the_probed,
            consistency.attributed_rankers_have_neurons,
            lineages.changes_are_within_a_lineage,
            lineages.forgetting_has_something_to_compare,
            Study._baselines_are_evaluated,
            Study._no_depth_below_what_was_ranked,
            Study._no_group_larger_than_a_teachers_list,
            Study._no_loss_without_its_labels,
        )
        all_hold(partial(rule, self) for rule in rules)
        return self

    def is_bi_encoder(self, ranker: str) -> bool:
        """Whether a ranker, or what it was tuned from, reads queries and docs apart."""
        return isinstance(self.rankers[self.lineage(ranker)[0]], BiEncoderSpec)

    def groups(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """What is compared with what, by where the docs come from: systems and the runs of each.

        A first stage and all rankers that re-order it; and under ALL_DOCS the bi-encoders that
        search, with the first stages beside them.
        """
        asked, found = self.evaluate, {}
        for name in asked.rerank.first_stages if asked.rerank else ():
            found[name] = {name: (name,), **self.systems()}
        if asked.search:
            found[ALL_DOCS] = {name: (name,) for name in asked.search.first_stages} | {
                system: runs
                for system, runs in self.systems().items()
                if self.is_bi_encoder(runs[0])
            }
        return found

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
        return list(dict.fromkeys(of for name in stages for of in self._trained_on(name)))

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

    def _baselines_are_evaluated(self) -> None:
        systems = {*self.systems(), *self.evaluate.first_stages}
        for name in self.evaluate.baseline:
            if name in self.rankers and self.system_of(name) in systems - {name}:
                raise BadStudy(
                    f"evaluate.baseline: {name} is one seed of {self.system_of(name)}, and all seeds "
                    f"are compared together. Name {self.system_of(name)}."
                )
            if name not in systems:
                raise BadStudy(
                    f"evaluate.baseline: {name} is not evaluated. Add it, or drop it here."
                )
        for place, compared in self.groups().items() if self.evaluate.baseline else ():
            if len(compared) > 1 and not set(self.evaluate.baseline) & set(compared):
                beside = ", or name it in `search.beside`" if place == ALL_DOCS else ""
                raise BadStudy(
                    f"evaluate.baseline: of {listed(self.evaluate.baseline)} none is among what is compared "
                    f"over {place} ({listed(compared)}). Add one of these{beside}."
                )

    def _no_depth_below_what_was_ranked(self) -> None:
        ranked = {name: stage.depth for name, stage in self.first_stages.items()}
        _refuse(
            f"{place}: {depth} docs are asked for, but {first_stage} ranks {ranked[first_stage]}. "
            f"Lower it, or raise first_stages.{first_stage}.depth."
            for place, first_stage, depth in self._depths()
            if depth > ranked[first_stage]
        )

    def _no_group_larger_than_a_teachers_list(self) -> None:
        ranked = {name: teacher.depth for name, teacher in self.teachers.items()}
        _refuse(
            f"{place}.group_size: {samples.group_size} docs are asked for, but {samples.labels} ranks "
            f"{ranked[samples.labels]}. Lower it, or raise teachers.{samples.labels}.depth."
            for place, samples in self._all_samples()
            if samples.group_size > ranked.get(samples.labels, samples.group_size)
        )

    def _no_loss_without_its_labels(self) -> None:
        fitting = ", ".join(n for n, need in NEEDS.items() if need == "order")
        _refuse(
            f"{_place(key)}.{place}: {loss} learns from relevant docs, and {samples.labels} "
            f"gives an order. Use `labels: qrels`, or a loss such as {fitting}."
            for key, spec in self.rankers.items()
            for place, (loss, samples) in zip(
                ("loss", "mixed_with.loss"),
                spec.lessons if isinstance(spec, TrainedSpec) else [],
                strict=False,
            )
            if NEEDS[loss] in {"one positive", "positives"} and samples.labels != "qrels"
        )

    def _all_samples(self) -> Iterator[tuple[str, SamplesSpec]]:
        """What every stage learns from, with its place in the study."""
        for key, spec in self.rankers.items():
            if isinstance(spec, TrainedSpec):
                if isinstance(spec.samples, SamplesSpec):
                    yield f"{_place(key)}.samples", spec.samples
                if spec.mixed_with:
                    yield f"{_place(key)}.mixed_with.samples", spec.mixed_with.samples

    def _depths(self) -> Iterator[tuple[str, str, int]]:
        """Every depth to which a first stage's run is read: (place, first stage, depth)."""
        for key, teacher in self.teachers.items():
            if isinstance(teacher, RankerTeacherSpec):
                yield f"teachers.{key}.depth", teacher.candidates, teacher.depth
        for place, samples in self._all_samples():
            if samples.negatives:
                negatives = samples.negatives
                yield f"{place}.negatives.depth", negatives.first_stage, negatives.depth
        for key, spec in self.rankers.items():
            if isinstance(spec, TrainedSpec) and spec.validate_on:
                watched = spec.validate_on
                yield f"{_place(key)}.validate.depth", watched.first_stage, watched.depth
        if rerank := self.evaluate.rerank:
            for name in rerank.first_stages:
                yield "evaluate.rerank.depth", name, rerank.depth
        yield from self._depths_of_explanation()
        yield from self._depths_of_fusions()

    def _depths_of_explanation(self) -> Iterator[tuple[str, str, int]]:
        for key, probes in self.probes.items():
            drawn = probes.examples
            if isinstance(drawn, RunExamplesSpec):
                yield f"explain.probes.{key}.examples.depth", drawn.first_stage, drawn.depth
        for key, wanted in self.attribution.items():
            if wanted.first_stage:
                yield f"explain.attribution.{key}.depth", wanted.first_stage, wanted.depth
        for key, asked in self.changes.items():
            depth = lineages.changed_depth(self, asked)
            yield f"explain.changes.{key}.depth", asked.first_stage, depth

    def _depths_of_fusions(self) -> Iterator[tuple[str, str, int]]:
        for key, stage in self.first_stages.items():
            for name in stage.of if isinstance(stage, FuseSpec) else ():
                if name in self.first_stages:
                    yield f"first_stages.{key}.depth", name, stage.depth

    @property
    def probes(self) -> Mapping[str, ProbesSpec]:
        """What is asked of every layer, by name."""
        return self.explain.probes if self.explain else {}

    @property
    def attribution(self) -> Mapping[str, AttributionSpec]:
        """What is asked of feed-forward neurons, by name."""
        return self.explain.attribution if self.explain else {}

    @property
    def changes(self) -> Mapping[str, ChangesSpec]:
        """What is asked of pairs of rankers, before and after, by name."""
        return self.explain.changes if self.explain else {}

    def explained_rankers(self) -> tuple[str, ...]:
        """The rankers whose insides are looked at, in the study's order."""
        asked = self.explain.rankers if self.explain else None
        return asked or tuple(name for name in self.rankers if self.is_bi_encoder(name))

    def probed_rankers(self, asked: ProbesSpec | AttributionSpec) -> tuple[str, ...]:
        """The rankers whose layers or neurons are asked for, in the study's order."""
        return asked.rankers or self.explained_rankers()

    def evaluated_rankers(self) -> tuple[str, ...]:
        """The rankers that are evaluated, in the study's order."""
        return self.evaluate.rankers or tuple(self.rankers)

    def seed_of(self, ranker: str) -> int:
        """The seed of what is drawn for a ranker: its own, or the study's."""
        seed = getattr(self.rankers[ranker], "seed", None)
        return self.seed if seed is None else seed

    def system_of(self, ranker: str) -> str:
        """What a ranker and those that differ from it in nothing but the seed are called together."""
        return system_of(ranker, getattr(self.rankers[ranker], "seed", None))

    def systems(self) -> dict[str, tuple[str, ...]]:
        """What is compared: a name, and the evaluated rankers under it, one for each seed."""
        return dict(self.rankers_by_system)

    @cached_property
    def rankers_by_system(self) -> dict[str, tuple[str, ...]]:
        """The same, made once."""
        found: dict[str, list[str]] = {}
        for ranker in (name for name in self.evaluated_rankers() if name in self.rankers):
            found.setdefault(self.system_of(ranker), []).append(ranker)
        return {system: tuple(rankers) for system, rankers in found.items()}

    def _references(self) -> Iterator[Reference]:
        """Every place that names something."""
        for key, teacher in self.teachers.items():
            if isinstance(teacher, RankerTeacherSpec):
                place = f"teachers.{key}"
                yield Reference(f"{place}.ranker", teacher.ranker, self.rankers, "ranker")
                yield self._first_stage(f"{place}.candidates", teacher.candidates)
        for key, ranker in self.rankers.items():
            place = _place(key)
            if isinstance(ranker, TrainedSpec):
                yield Reference(f"{place}.start", ranker.start, self.rankers, "ranker")
                if watched := ranker.validate_on:
                    for name in watched.collections:
                        yield self._collection(f"{place}.validate.collection", name)
                    yield self._first_stage(f"{place}.validate.from", watched.first_stage)
                continue
            backbone = getattr(ranker, "backbone", None)
            if isinstance(backbone, ScratchSpec):
                yield self._collection(f"{place}.backbone.collection", backbone.collection)
        yield from self._references_of_first_stages()
        yield from self._references_of_samples()
        yield from self._references_of_evaluation()
        yield from self._references_of_explanation()

    def _references_of_first_stages(self) -> Iterator[Reference]:
        for key, stage in self.first_stages.items():
            if isinstance(stage, DenseSpec | LateSpec):
                yield Reference(f"first_stages.{key}.ranker", stage.ranker, self.rankers, "ranker")
            for name in stage.of if isinstance(stage, FuseSpec) else ():
                yield self._first_stage(f"first_stages.{key}.of", name)
            for name in stage.paths if isinstance(stage, RunFilesSpec) else ():
                yield self._collection(f"first_stages.{key}.paths", name)

    def _references_of_samples(self) -> Iterator[Reference]:
        labels = {**self.teachers, "qrels": None}
        for key, spec in self.rankers.items():
            if isinstance(spec, TrainedSpec) and not spec.lessons:
                yield self._collection(f"{_place(key)}.samples.collection", spec.samples.collection)
                if docs := getattr(spec.samples, "docs", None):
                    yield self._collection(f"{_place(key)}.samples.docs", docs)
        for place, samples in self._all_samples():
            yield self._collection(f"{place}.collection", samples.collection)
            yield Reference(f"{place}.labels", samples.labels, labels, "teacher")
            if samples.negatives:
                mining = samples.negatives
                yield self._first_stage(f"{place}.negatives.from", mining.first_stage)
                if mining.rescored_by:
                    where = f"{place}.negatives.rescored_by"
                    yield Reference(where, mining.rescored_by, self.rankers, "ranker")

    def _references_of_evaluation(self) -> Iterator[Reference]:
        asked = self.evaluate
        together = dict.fromkeys(self.system_of(name) for name in self.rankers)
        systems = {**self.rankers, **together, **self.first_stages}
        for name in asked.over:
            yield self._collection("evaluate.over", name)
        for name in asked.rerank.first_stages if asked.rerank else ():
            yield self._first_stage("evaluate.rerank.from", name)
        for name in asked.search.first_stages if asked.search else ():
            yield self._first_stage("evaluate.search.beside", name)
        for name in asked.rankers or ():
            yield Reference("evaluate.rankers", name, self.rankers, "ranker")
        for name in asked.baseline:
            yield Reference("evaluate.baseline", name, systems, "ranker or first stage")
        evaluated = {**self.systems(), **dict.fromkeys(asked.first_stages)}
        for place, claim in enumerate(asked.claims):
            for name in (*claim.systems, claim.baseline):
                yield Reference(f"evaluate.claims.{place}", name, evaluated, "evaluated system")

    def _references_of_explanation(self) -> Iterator[Reference]:
        for name in (self.explain and self.explain.rankers) or ():
            yield Reference("explain.rankers", name, self.rankers, "ranker")
        explained = dict.fromkeys((self.explain and self.explain.rankers) or self.rankers)
        for key, asked in self.probes.items():
            place = f"explain.probes.{key}"
            drawn = asked.examples
            if isinstance(drawn, RunExamplesSpec):
                yield self._collection(f"{place}.examples.over", drawn.over)
                yield self._collection(f"{place}.examples.train", drawn.train)
                yield self._first_stage(f"{place}.examples.from", drawn.first_stage)
            for name in asked.rankers or ():
                yield Reference(f"{place}.rankers", name, explained, "explained ranker")
            probed = dict.fromkeys(asked.rankers or explained)
            for name in asked.published.curves if asked.published else ():
                yield Reference(f"{place}.published.curves", name, probed, "probed ranker")
            for name in asked.baseline:
                yield Reference(f"{place}.baseline", name, probed, "probed ranker")

        yield from self._references_of_attribution(explained)
        yield from self._references_of_changes()

    def _references_of_attribution(self, explained: Mapping[str, object]) -> Iterator[Reference]:
        for key, wanted in self.attribution.items():
            place = f"explain.attribution.{key}"
            if wanted.over and wanted.first_stage:
                yield self._collection(f"{place}.over", wanted.over)
                yield self._first_stage(f"{place}.from", wanted.first_stage)
            for name in wanted.rankers or ():
                yield Reference(f"{place}.rankers", name, explained, "explained ranker")
            for name in wanted.baseline:
                among = dict.fromkeys(wanted.rankers or explained)
                yield Reference(f"{place}.baseline", name, among, "attributed ranker")

    def _references_of_changes(self) -> Iterator[Reference]:
        for key, asked in self.changes.items():
            place = f"explain.changes.{key}"
            yield self._collection(f"{place}.over", asked.over)
            yield self._first_stage(f"{place}.from", asked.first_stage)
            if asked.heads:
                yield self._collection(f"{place}.heads.train", asked.heads.train)
            pairs = asked.pairs or ()
            for name in (*pairs, *(pairs.values() if isinstance(pairs, dict) else ())):
                yield Reference(f"{place}.pairs", name, self.rankers, "ranker")
        forgetting = self.explain.forgetting if self.explain else None
        if forgetting and forgetting.baseline:
            evaluated = {**self.systems(), **dict.fromkeys(self.evaluate.first_stages)}
            yield Reference(
                "explain.forgetting.baseline", forgetting.baseline, evaluated, "evaluated system"
            )

    def _collection(self, place: str, name: str) -> Reference:
        return Reference(place, name, self.collections, "collection")

    def _first_stage(self, place: str, name: str) -> Reference:
        return Reference(place, name, self.first_stages, "first stage")
