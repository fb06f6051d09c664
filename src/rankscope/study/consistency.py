"""What must hold between the parts of a study: no first stage needs itself, and only bi-encoders search."""

from typing import TYPE_CHECKING

from rankscope.core.errors import BadStudy, listed
from rankscope.study.spec_data import DenseSpec, FuseSpec, LateSpec
from rankscope.study.spec_explain import RunExamplesSpec
from rankscope.study.spec_rankers import (
    BiEncoderSpec,
    LateInteractionSpec,
    SamplesSpec,
    TrainedSpec,
)

if TYPE_CHECKING:
    from rankscope.study.spec import Study

TOWERS = {"query_tower", "doc_tower"}


def only_bi_encoders_search(study: "Study") -> None:
    """BadStudy where a ranker should search that reads query and doc together."""
    for name, spec in study.first_stages.items():
        if isinstance(spec, DenseSpec) and _compares_tokens(study, spec.ranker):
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
                    if _compares_tokens(study, name)
                    else "reads query and doc together"
                )
                raise BadStudy(
                    f"evaluate: {name} {why}, so it needs a run to re-order. "
                    "Give `rerank: {from: [...]}`, or leave it out of `rankers`."
                )


def _compares_tokens(study: "Study", ranker: str) -> bool:
    """Whether a ranker is a ColBERT: neither of the two other kinds."""
    return isinstance(study.rankers[study.lineage(ranker)[0]], LateInteractionSpec)


def probed_rankers_are_of_a_kind(study: "Study") -> None:
    """BadStudy where probes are asked of rankers whose layers have states of other things."""
    if not study.probes:
        return
    explained = study.explained_rankers()
    if not explained:
        raise BadStudy("explain.probes: the study has no bi_encoder. Name `rankers`, or drop it.")
    for name in explained:
        if _compares_tokens(study, name):
            raise BadStudy(
                f"explain.rankers: {name} compares token by token, so no layer has one state of a text. Leave "
                "it out."
            )
    for key, asked in study.probes.items():
        for name in study.probed_rankers(asked):
            if _compares_tokens(study, name):
                raise BadStudy(
                    f"explain.probes.{key}.rankers: {name} compares token by token, so no layer has one state of a "
                    "text. Leave it out."
                )
        together = [name for name in study.probed_rankers(asked) if not study.is_bi_encoder(name)]
        if together and len(together) < len(study.probed_rankers(asked)):
            raise BadStudy(
                f"explain.probes.{key}: {together[0]} reads query and doc together, others apart, so their layers "
                "have states of other things. Give each kind probes of its own, by `rankers`."
            )
        if together and (asked.method == "as_published" or asked.mlp):
            raise BadStudy(
                f"explain.probes.{key}: `method: as_published` and `mlp` read query and doc apart, and "
                f"{together[0]} reads them together. Drop them, or leave it out."
            )


def attributed_rankers_have_neurons(study: "Study") -> None:
    """BadStudy where attribution is asked of no ranker, or of one without a score of two texts."""
    for key, asked in study.attribution.items():
        place = f"explain.attribution.{key}"
        attributed = study.probed_rankers(asked)
        if not attributed:
            raise BadStudy(f"{place}: the study has no bi_encoder. Name `rankers`, or drop it.")
        for name in attributed:
            if _compares_tokens(study, name):
                raise BadStudy(
                    f"{place}.rankers: {name} compares token by token, which is not attributed. Leave it out."
                )
        for name in asked.baseline:
            if name not in attributed:
                raise BadStudy(
                    f"{place}.baseline: {name} is not attributed. There are: {listed(attributed)}."
                )


def probes_compare_the_probed(study: "Study") -> None:
    """BadStudy where a baseline or a reported curve belongs to a ranker that is not probed."""
    for key, asked in study.probes.items():
        probed = study.probed_rankers(asked)
        named = {"baseline": asked.baseline}
        if asked.published:
            named["published.curves"] = tuple(asked.published.curves)
        for field, name in ((field, name) for field, names in named.items() for name in names):
            if name not in probed:
                raise BadStudy(
                    f"explain.probes.{key}.{field}: {name} is not probed. There are: {listed(probed)}."
                )


def probes_are_not_fed_by_the_probed(study: "Study") -> None:
    """BadStudy where a probed ranker chose the docs among which the relevant one is to be found."""
    for key, asked in study.probes.items():
        family = {
            ancestor for name in study.probed_rankers(asked) for ancestor in study.lineage(name)
        }
        drawn = asked.examples
        if not isinstance(drawn, RunExamplesSpec):
            continue
        for ranker in _searching(study, drawn.first_stage):
            if family & set(study.lineage(ranker)):
                raise BadStudy(
                    f"explain.probes.{key}.examples.from: {drawn.first_stage} searches with {ranker}, which is "
                    "probed itself or of the family of one that is: what it ranks high is hard for it and not "
                    "for others. Name another."
                )


def _searching(study: "Study", first_stage: str) -> list[str]:
    """The rankers that a first stage searches with, those of its parts included."""
    found = {first_stage: None}
    for name in (waiting := [first_stage]):
        spec = study.first_stages[name]
        parts = [
            part for part in (spec.of if isinstance(spec, FuseSpec) else ()) if part not in found
        ]
        found |= dict.fromkeys(parts)
        waiting += parts
    specs = (study.first_stages[name] for name in found)
    return [spec.ranker for spec in specs if isinstance(spec, DenseSpec)]


def fields_of_bi_encoders(study: "Study") -> None:
    """BadStudy where a stage asks what only the other kind of ranker has."""
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
    """What is asked of a bi-encoder that it does not have; the first of it."""
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
    if any(samples.negatives and samples.negatives.refresh_every for _, samples in spec.lessons):
        return (
            ".samples.negatives.refresh_every: only a bi_encoder finds docs itself. Drop it, or train in "
            "stages."
        )
    if not isinstance(spec.samples, SamplesSpec):
        return f".samples: `kind: {spec.samples.kind}` trains bi-encoders only. Start from one."
    asked = ["`in_batch`"] * spec.in_batch + ["`temperature`"] * (spec.temperature != 1.0)
    if asked:
        return (
            f": {' and '.join(asked)} {'is' if len(asked) == 1 else 'are'} for bi-encoders, and this ranker reads query "
            "and doc together. Write `in_batch: false` and `temperature: 1.0`, or drop what is written."
        )
    if TOWERS & set(spec.freeze):
        return ".freeze: a cross_encoder has no towers. Drop them."
    return None
