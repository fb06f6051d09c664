"""The rules on what each kind of ranker can do, and on the fields that a stage of its kind has."""

from rankscope.core.errors import BadStudy
from rankscope.pipeline.first_stages.dense import DenseSpec
from rankscope.pipeline.first_stages.late import LateSpec
from rankscope.pipeline.spec.rankers import BiEncoderSpec, LateInteractionSpec
from rankscope.pipeline.spec.samples import SamplesSpec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.study.mistakes import place_of
from rankscope.study.study import Study

TOWERS = {"query_tower", "doc_tower"}


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
                    f"{place_of(name)}: it starts from {first}, a late_interaction model, which is used as "
                    "it is. Start from a cross_encoder or a bi_encoder."
                )
            start = study.rankers[first]
            shares = (
                isinstance(start, BiEncoderSpec) and start.backbone and start.towers == "shared"
            )
            if shares and TOWERS & set(spec.freeze):
                raise BadStudy(
                    f"{place_of(name)}.freeze: {first}, which it starts from, reads queries and docs with one tower. "
                    f"Give {first} `towers: separate`."
                )
            wrong = (_of_a_bi_encoder if study.is_bi_encoder(name) else _of_a_cross_encoder)(spec)
            if wrong:
                raise BadStudy(f"{place_of(name)}{wrong}")


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
