"""What must hold of the pairs of rankers that a study compares."""

from collections.abc import Iterator

from rankscope.analyses.analysis import DepthNeed, Question
from rankscope.analyses.changes.pairs import changed_depth, changed_pairs, with_heads
from rankscope.analyses.changes.spec import ChangesSpec
from rankscope.core.errors import BadStudy, listed
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import (
    Reference,
    to_collection,
    to_first_stage,
    to_ranker,
)


def references(study: Pipeline, question: Question) -> Iterator[Reference]:
    """Collections, a first stage, rankers."""
    spec: ChangesSpec = question.spec
    place, pairs = question.place, spec.pairs or ()
    yield to_collection(study, f"{place}.over", spec.over)
    yield to_first_stage(study, f"{place}.from", spec.first_stage)
    if spec.heads:
        yield to_collection(study, f"{place}.heads.train", spec.heads.train)
    for name in (*pairs, *(pairs.values() if isinstance(pairs, dict) else ())):
        yield to_ranker(study, f"{place}.pairs", name)


def depths(study: Pipeline, question: Question) -> Iterator[DepthNeed]:
    """The depth of the run whose top both rankers re-rank."""
    spec: ChangesSpec = question.spec
    yield DepthNeed(f"{question.place}.depth", spec.first_stage, changed_depth(study, spec))


def check(study: Pipeline, question: Question) -> None:
    """Raises BadStudy where two compared rankers have no weights in common, or a bi-encoder is to have a head."""
    spec: ChangesSpec = question.spec
    place, pairs = question.place, changed_pairs(study, question)
    if isinstance(spec.pairs, tuple):
        for name in set(spec.pairs) - pairs.keys():
            raise BadStudy(
                f"{place}.pairs: {name} was not tuned from another ranker. Write {{{name}: ANOTHER}}, or leave "
                "it out."
            )
    if not pairs:
        among = "`explain.rankers`" if question.named else "`rankers`"
        raise BadStudy(f"{place}: no ranker of {among} is tuned here. Name `pairs`, or drop it.")
    for after, before in pairs.items():
        _check_pair(study, place, after, before)
    for name in with_heads(study, question):
        if name not in pairs:
            raise BadStudy(
                f"{place}.heads.rankers: {name} is not among the pairs. There are: {listed(pairs)}."
            )
        if study.is_bi_encoder(name):
            raise BadStudy(
                f"{place}.heads: {name} reads query and doc apart and has no head. Name the cross-encoders in "
                "`rankers`, or drop it."
            )


def _check_pair(study: Pipeline, place: str, after: str, before: str) -> None:
    roots = [study.lineage(name)[0] for name in (after, before)]
    if after == before:
        raise BadStudy(f"{place}.pairs: {after} is compared with itself. Name another ranker.")
    if roots[0] != roots[1]:
        raise BadStudy(
            f"{place}.pairs: {after} and {before} are of two lineages ({roots[0]}, {roots[1]}), so their weights "
            "have nothing to do with each other. Compare rankers that start from one."
        )
    if study.compares_tokens(after):
        raise BadStudy(
            f"{place}.pairs: {after} compares token by token, so no layer has one state of a text. Leave it out."
        )
