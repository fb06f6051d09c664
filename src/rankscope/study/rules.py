"""The rules that hold between the parts of a study.

Names in a study refer to one another (a ranker starts from a ranker, samples are labelled by a teacher, a run
comes from a first stage): every name is an entry of its table, and every ranker is of a kind that can do its task.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from rankscope.core.errors import BadStudy, UnknownChoice, choose, listed
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.first_stages.late import LateSpec
from rankscope.pipeline.spec.pipeline import ALL_DOCS
from rankscope.pipeline.spec.rankers import BiEncoderSpec, LateInteractionSpec, ScratchSpec
from rankscope.pipeline.spec.references import (
    Reference,
    to_collection,
    to_evaluated,
    to_first_stage,
    to_ranker,
)
from rankscope.pipeline.spec.samples import SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.pipeline.spec.teachers import RankerTeacherSpec
from rankscope.study import chains
from rankscope.study.mistakes import MOST, all_hold
from rankscope.study.study import Study
from rankscope.train.needs import NEEDS

TOWERS = {"query_tower", "doc_tower"}
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


def _place(ranker: str) -> str:
    """The place of a ranker in the file, where the members of a sweep have one common name."""
    return f"rankers.{ranker.partition('.')[0]}"


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
        if system != name and system in study.rankers:
            raise BadStudy(f"rankers.{system}: {name} is a seed of this name too. Rename one.")
    chains.nothing_rests_on_itself(study)


def _check_baselines(study: Study) -> None:
    systems = {*study.systems(), *study.evaluate.first_stages}
    for name in study.evaluate.baseline:
        if name in study.rankers and study.system_of(name) in systems - {name}:
            raise BadStudy(
                f"evaluate.baseline: {name} is one seed of {study.system_of(name)}, and all seeds "
                f"are compared together. Name {study.system_of(name)}."
            )
        if name not in systems:
            raise BadStudy(f"evaluate.baseline: {name} is not evaluated. Add it, or drop it here.")
    for place, compared in study.groups().items() if study.evaluate.baseline else ():
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
        f"{_place(key)}.{place}: {loss} learns from relevant docs, and {samples.labels} "
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
                yield f"{_place(key)}.samples", spec.samples
            if spec.mixed_with:
                yield f"{_place(key)}.mixed_with.samples", spec.mixed_with.samples


def _depths(study: Study) -> Iterator[tuple[str, str, int]]:
    """Every depth to which a first stage's run is read: (place, first stage, depth)."""
    for key, teacher in study.teachers.items():
        if isinstance(teacher, RankerTeacherSpec):
            yield f"teachers.{key}.depth", teacher.candidates, teacher.depth
    for place, samples in _all_samples(study):
        if samples.negatives:
            negatives = samples.negatives
            yield f"{place}.negatives.depth", negatives.first_stage, negatives.depth
    for key, spec in study.rankers.items():
        if isinstance(spec, TrainedSpec) and spec.validate_on:
            watched = spec.validate_on
            yield f"{_place(key)}.validate.depth", watched.first_stage, watched.depth
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
    for key, ranker in study.rankers.items():
        place = _place(key)
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
            yield to_collection(study, f"{_place(key)}.samples.collection", spec.samples.collection)
            if docs := getattr(spec.samples, "docs", None):
                yield to_collection(study, f"{_place(key)}.samples.docs", docs)
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
    systems = {**study.rankers, **together, **study.first_stages}
    for name in evaluation.over:
        yield to_collection(study, "evaluate.over", name)
    for name in evaluation.rerank.first_stages if evaluation.rerank else ():
        yield to_first_stage(study, "evaluate.rerank.from", name)
    for name in evaluation.search.first_stages if evaluation.search else ():
        yield to_first_stage(study, "evaluate.search.beside", name)
    for name in evaluation.rankers or ():
        yield to_ranker(study, "evaluate.rankers", name)
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


def only_bi_encoders_search(study: Study) -> None:
    """BadStudy where a ranker should search that is no bi-encoder."""
    for name, spec in study.first_stages.items():
        if isinstance(spec, DenseSpec) and study.compares_tokens(spec.ranker):
            raise BadStudy(
                f"first_stages.{name}.ranker: {spec.ranker} compares token by token, so it has no vector of a text. Use "
                "`kind: late_interaction`."
            )
        if isinstance(spec, DenseSpec) and not study.is_bi_encoder(spec.ranker):
            raise BadStudy(
                f"first_stages.{name}.ranker: {spec.ranker} reads query and doc together, so it "
                "cannot search. Name a bi_encoder, or one tuned from it."
            )
        if isinstance(spec, LateSpec) and not isinstance(
            study.rankers[spec.ranker], LateInteractionSpec
        ):
            raise BadStudy(
                f"first_stages.{name}.ranker: {spec.ranker} is no late_interaction model. Name one, or use "
                "`kind: dense` for a bi_encoder."
            )
    evaluated = study.evaluated_rankers()
    if study.evaluate.search and not any(map(study.is_bi_encoder, evaluated)):
        raise BadStudy("evaluate.search: no evaluated ranker is a bi_encoder. Drop it.")
    if study.evaluate.rerank is None:
        for name in evaluated:
            if not study.is_bi_encoder(name):
                why = (
                    "compares token by token, and only bi_encoders are searched with here"
                    if study.compares_tokens(name)
                    else "reads query and doc together"
                )
                raise BadStudy(
                    f"evaluate: {name} {why}, so it needs a run to re-order. "
                    "Give `rerank: {from: [...]}`, or leave it out of `rankers`."
                )


def fields_of_bi_encoders(study: Study) -> None:
    """BadStudy where a stage has fields that only the other kind of ranker has."""
    for name, spec in study.rankers.items():
        if isinstance(spec, TrainedSpec):
            first = study.lineage(name)[0]
            if isinstance(study.rankers[first], LateInteractionSpec):
                raise BadStudy(
                    f"rankers.{name}: it starts from {first}, a late_interaction model, which is used as "
                    "it is. Start from a cross_encoder or a bi_encoder."
                )
            start = study.rankers[first]
            shares = (
                isinstance(start, BiEncoderSpec) and start.backbone and start.towers == "shared"
            )
            if shares and TOWERS & set(spec.freeze):
                raise BadStudy(
                    f"rankers.{name}.freeze: {first}, which it starts from, reads queries and docs with one tower. "
                    f"Give {first} `towers: separate`."
                )
            wrong = (_of_a_bi_encoder if study.is_bi_encoder(name) else _of_a_cross_encoder)(spec)
            if wrong:
                raise BadStudy(f"rankers.{name.partition('.')[0]}{wrong}")


def _of_a_bi_encoder(spec: TrainedSpec) -> str | None:
    """The first field of a bi-encoder's stage that bi-encoders do not have, and the remedy; None without any."""
    is_taught = isinstance(spec.samples, SamplesSpec) and spec.samples.labels != "qrels"
    moves_docs = spec.samples.kind == "noisy_queries" and "doc_tower" not in spec.freeze
    wrong = {
        ".lora.merge: of a bi_encoder the whole model is kept, and the adapter beside it. Drop it.": (
            spec.lora is not None and not spec.lora.merge
        ),
        ".freeze: a bi_encoder is all encoder. Freeze a tower or some layers.": (
            "encoder" in spec.freeze
        ),
        ".mixed_with: a bi_encoder learns from one loss. Drop it, or train in stages.": (
            spec.mixed_with is not None
        ),
        ".freeze: `kind: noisy_queries` teaches the query tower alone. Add `doc_tower`.": moves_docs,
        ".in_batch: the samples have negatives of their own. Write `in_batch: false`.": (
            spec.in_batch and spec.samples.kind != "labelled"
        ),
        ".in_batch: a teacher says nothing of the other queries' docs. Use `labels: qrels`, or write "
        "`in_batch: false`.": spec.in_batch and is_taught,
    }
    return next((sentence for sentence, is_so in wrong.items() if is_so), None)


def _of_a_cross_encoder(spec: TrainedSpec) -> str | None:
    """The first field of a cross-encoder's stage that cross-encoders do not have, and the remedy."""
    if any(samples.negatives and samples.negatives.refresh_every for _, samples in spec.lessons):
        return (
            ".samples.negatives.refresh_every: only a bi_encoder finds docs itself. Drop it, or train in "
            "stages."
        )
    if not isinstance(spec.samples, SamplesSpec):
        return f".samples: `kind: {spec.samples.kind}` trains bi-encoders only. Start from one."
    foreign = ["`in_batch`"] * spec.in_batch + ["`temperature`"] * (spec.temperature != 1.0)
    if foreign:
        return (
            f": {' and '.join(foreign)} {'is' if len(foreign) == 1 else 'are'} for bi-encoders, and this ranker reads query "
            "and doc together. Write `in_batch: false` and `temperature: 1.0`, or drop what is written."
        )
    if TOWERS & set(spec.freeze):
        return ".freeze: a cross_encoder has no towers. Drop them."
    return None


RULES: tuple[Callable[[Study], None], ...] = (
    only_bi_encoders_search,
    fields_of_bi_encoders,
    _check_baselines,
    _check_depths,
    _check_group_sizes,
    _check_labels,
)
