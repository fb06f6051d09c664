"""The rules that hold between the parts of a study.

Names in a study refer to one another (a ranker starts from a ranker, samples are labelled by a teacher, a run
comes from a first stage): every name is an entry of its table, and every ranker is of a kind that can do its task.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from rankscope.core.errors import BadStudy, UnknownChoice, choose, listed
from rankscope.pipeline.spec.pipeline import ALL_DOCS
from rankscope.pipeline.spec.rankers import ScratchSpec
from rankscope.pipeline.spec.references import (
    Reference,
    to_collection,
    to_evaluated,
    to_first_stage,
    to_ranker,
)
from rankscope.pipeline.spec.samples import SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import LLMTeacherSpec, RankerTeacherSpec
from rankscope.study.mistakes import MOST, all_hold, place_of
from rankscope.study.rules import chains
from rankscope.study.rules.rankers import fields_of_bi_encoders, only_bi_encoders_search
from rankscope.study.study import Study
from rankscope.train.needs import NEEDS

TO_TABLE = {
    "rankers": to_ranker,
    "first_stages": to_first_stage,
    "collections": to_collection,
}
"""The function that makes a reference, for each table that a first stage may refer to."""


def check(study: Study) -> None:
    """BadStudy with each mistake, its place and its remedy: names first, as all other rules rest on them."""
    _check_names(study)
    all_hold(
        [
            *(partial(rule, study) for rule in RULES),
            *(partial(analysis.check, study, question) for analysis, question in study.questions()),
        ]
    )


def _nowhere(reference: Reference) -> str:
    try:
        choose(reference.table, reference.name, what=reference.what)
    except UnknownChoice as error:
        return f"{reference.place}: {error}"
    return ""


def _refuse(mistakes: Iterable[str]) -> None:
    """BadStudy with the mistakes, if there are any."""
    sentences = list(mistakes)
    if sentences:
        raise BadStudy(*sentences)


def _check_names(study: Study) -> None:
    unknown = {
        (reference.place, reference.name): reference
        for reference in _references(study)
        if reference.name not in reference.table
    }
    if unknown:
        explained, counted = [*unknown.values()][:MOST], [*unknown.values()][MOST:]
        raise BadStudy(
            *map(_nowhere, explained),
            *(f"{reference.place}: {reference.name}" for reference in counted),
        )
    for name in study.rankers:
        system = study.system_of(name)
        if system in study.first_stages:
            raise BadStudy(f"rankers.{system}: a first stage has this name too. Rename one.")
        if system in study.evaluate.teachers:
            raise BadStudy(
                f"rankers.{system}: a teacher that is evaluated has this name too. Rename one."
            )
        if system != name and system in study.rankers:
            raise BadStudy(f"rankers.{system}: {name} is a seed of this name too. Rename one.")
    for name in study.evaluate.teachers:
        if name in study.first_stages:
            raise BadStudy(f"teachers.{name}: a first stage has this name too. Rename one.")
    chains.nothing_rests_on_itself(study)


def _check_baselines(study: Study) -> None:
    systems = {*study.systems(), *study.evaluate.first_stages, *study.evaluate.teachers}
    for name in study.evaluate.baseline:
        if name in study.rankers and study.system_of(name) in systems - {name}:
            raise BadStudy(
                f"evaluate.baseline: {name} is one seed of {study.system_of(name)}, and all seeds "
                f"are compared together. Name {study.system_of(name)}."
            )
        if name not in systems:
            raise BadStudy(f"evaluate.baseline: {name} is not evaluated. Add it, or drop it here.")
    groups = [group for name in study.evaluate.over for group in study.groups(name).items()]
    for place, compared in groups if study.evaluate.baseline else ():
        if len(compared) > 1 and not set(study.evaluate.baseline) & set(compared):
            beside = ", or name it in `search.beside`" if place == ALL_DOCS else ""
            raise BadStudy(
                f"evaluate.baseline: of {listed(study.evaluate.baseline)} none is among what is compared "
                f"over {place} ({listed(compared)}). Add one of these{beside}."
            )


def _check_depths(study: Study) -> None:
    ranked = {name: stage.depth for name, stage in study.first_stages.items()}
    _refuse(
        f"{place}: {depth} docs are asked for, but {first_stage} ranks {ranked[first_stage]}. "
        f"Lower it, or raise first_stages.{first_stage}.depth."
        for place, first_stage, depth in _depths(study)
        if depth > ranked[first_stage]
    )


def _check_group_sizes(study: Study) -> None:
    ranked = {name: teacher.depth for name, teacher in study.teachers.items()}
    _refuse(
        f"{place}.group_size: {samples.group_size} docs are asked for, but {samples.labels} ranks "
        f"{ranked[samples.labels]}. Lower it, or raise teachers.{samples.labels}.depth."
        for place, samples in _all_samples(study)
        if samples.group_size > ranked.get(samples.labels, samples.group_size)
    )


def _check_labels(study: Study) -> None:
    fitting = ", ".join(name for name, need in NEEDS.items() if need == "order")
    _refuse(
        f"{place_of(key)}.{place}: {loss} learns from relevant docs, and {samples.labels} "
        f"gives an order. Use `labels: qrels`, or a loss such as {fitting}."
        for key, spec in study.rankers.items()
        for place, (loss, samples) in zip(
            ("loss", "mixed_with.loss"),
            spec.lessons if isinstance(spec, TrainedSpec) else [],
            strict=False,
        )
        if NEEDS[loss] in {"one positive", "positives"} and samples.labels != "qrels"
    )


def _all_samples(study: Study) -> Iterator[tuple[str, SamplesSpec]]:
    """The labelled samples of every stage, with their place in the study."""
    for key, spec in study.rankers.items():
        if isinstance(spec, TrainedSpec):
            if isinstance(spec.samples, SamplesSpec):
                yield f"{place_of(key)}.samples", spec.samples
            if spec.mixed_with:
                yield f"{place_of(key)}.mixed_with.samples", spec.mixed_with.samples


def _depths(study: Study) -> Iterator[tuple[str, str, int]]:
    """Every depth to which a first stage's run is read: (place, first stage, depth)."""
    for key, teacher in study.teachers.items():
        if isinstance(teacher, RankerTeacherSpec | LLMTeacherSpec):
            yield f"teachers.{key}.depth", teacher.shown, teacher.depth
    for place, samples in _all_samples(study):
        if samples.negatives:
            negatives = samples.negatives
            yield f"{place}.negatives.depth", negatives.first_stage, negatives.depth
    for key, spec in study.rankers.items():
        if isinstance(spec, TrainedSpec) and spec.validate_on:
            watched = spec.validate_on
            yield f"{place_of(key)}.validate.depth", watched.first_stage, watched.depth
    if rerank := study.evaluate.rerank:
        for name in rerank.first_stages:
            yield "evaluate.rerank.depth", name, rerank.depth
    for analysis, question in study.questions():
        yield from analysis.depths(study, question)
    yield from _depths_of_fusions(study)


def _depths_of_fusions(study: Study) -> Iterator[tuple[str, str, int]]:
    for key, stage in study.first_stages.items():
        for needed in stage.needs:
            if needed.table == "first_stages" and needed.name in study.first_stages:
                yield f"first_stages.{key}.depth", needed.name, stage.depth


def _references(study: Study) -> Iterator[Reference]:
    """Every reference by name in the study."""
    for key, teacher in study.teachers.items():
        if isinstance(teacher, RankerTeacherSpec):
            place = f"teachers.{key}"
            yield to_ranker(study, f"{place}.ranker", teacher.ranker)
            yield to_first_stage(study, f"{place}.candidates", teacher.candidates)
        if isinstance(teacher, LLMTeacherSpec):
            yield to_first_stage(study, f"teachers.{key}.first_stage", teacher.first_stage)
    for key, ranker in study.rankers.items():
        place = place_of(key)
        if isinstance(ranker, TrainedSpec):
            yield to_ranker(study, f"{place}.start", ranker.start)
            if watched := ranker.validate_on:
                for name in watched.collections:
                    yield to_collection(study, f"{place}.validate.collection", name)
                yield to_first_stage(study, f"{place}.validate.from", watched.first_stage)
            continue
        backbone = getattr(ranker, "backbone", None)
        if isinstance(backbone, ScratchSpec):
            yield to_collection(study, f"{place}.backbone.collection", backbone.collection)
    yield from _references_of_first_stages(study)
    yield from _references_of_samples(study)
    yield from _references_of_evaluation(study)
    yield from _references_of_explanation(study)


def _references_of_first_stages(study: Study) -> Iterator[Reference]:
    for key, stage in study.first_stages.items():
        for field, table, name in stage.needs:
            yield TO_TABLE[table](study, f"first_stages.{key}.{field}", name)


def _references_of_samples(study: Study) -> Iterator[Reference]:
    labels = {**study.teachers, "qrels": None}
    for key, spec in study.rankers.items():
        if isinstance(spec, TrainedSpec) and not spec.lessons:
            yield to_collection(
                study, f"{place_of(key)}.samples.collection", spec.samples.collection
            )
            if docs := getattr(spec.samples, "docs", None):
                yield to_collection(study, f"{place_of(key)}.samples.docs", docs)
    for place, samples in _all_samples(study):
        yield to_collection(study, f"{place}.collection", samples.collection)
        yield Reference(f"{place}.labels", samples.labels, labels, "teacher")
        if samples.negatives:
            mining = samples.negatives
            yield to_first_stage(study, f"{place}.negatives.from", mining.first_stage)
            if mining.rescored_by:
                where = f"{place}.negatives.rescored_by"
                yield to_ranker(study, where, mining.rescored_by)


def _references_of_evaluation(study: Study) -> Iterator[Reference]:
    evaluation = study.evaluate
    together = dict.fromkeys(study.system_of(name) for name in study.rankers)
    systems = {**study.rankers, **together, **study.first_stages, **study.evaluate.teachers}
    for name in evaluation.over:
        yield to_collection(study, "evaluate.over", name)
    for name in evaluation.rerank.first_stages if evaluation.rerank else ():
        yield to_first_stage(study, "evaluate.rerank.from", name)
    for name in evaluation.search.first_stages if evaluation.search else ():
        yield to_first_stage(study, "evaluate.search.beside", name)
    for name in evaluation.rankers or ():
        yield to_ranker(study, "evaluate.rankers", name)
    for name, collections in evaluation.teachers.items():
        yield Reference("evaluate.teachers", name, study.teachers, "teacher")
        for collection in collections:
            yield Reference(
                f"evaluate.teachers.{name}",
                collection,
                dict.fromkeys(evaluation.over),
                "evaluated collection",
            )
    for name in evaluation.baseline:
        yield Reference("evaluate.baseline", name, systems, "ranker or first stage")
    for place, claim in enumerate(evaluation.claims):
        for name in (*claim.systems, claim.baseline):
            yield to_evaluated(study, f"evaluate.claims.{place}", name)


def _references_of_explanation(study: Study) -> Iterator[Reference]:
    for name in study.explain.rankers or () if study.explain else ():
        yield to_ranker(study, "explain.rankers", name)
    for analysis, question in study.questions():
        yield from analysis.references(study, question)


def _check_evaluated_teachers(study: Study) -> None:
    """BadStudy for a teacher that cannot be a system of the evaluation."""
    for name in study.evaluate.teachers:
        teacher = study.teachers[name]
        if not isinstance(teacher, LLMTeacherSpec):
            raise BadStudy(
                f"evaluate.teachers: {name} is of the kind {teacher.kind}, and only an LLM that the study asks (`kind: llm`) is a "
                "system here. Evaluate its ranker, or name its run among `first_stages`."
            )
        reranked = study.evaluate.rerank.first_stages if study.evaluate.rerank else ()
        if teacher.first_stage not in reranked:
            raise BadStudy(
                f"evaluate.teachers: {name} orders the docs of {teacher.first_stage}, which is not among those that are re-ranked. Add "
                "it to `evaluate.rerank.from`."
            )


RULES: tuple[Callable[[Study], None], ...] = (
    only_bi_encoders_search,
    fields_of_bi_encoders,
    _check_evaluated_teachers,
    _check_baselines,
    _check_depths,
    _check_group_sizes,
    _check_labels,
)
