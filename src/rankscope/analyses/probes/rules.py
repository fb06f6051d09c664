"""What must hold of the probes a study asks for."""

from collections.abc import Iterator

from rankscope.analyses.analysis import DepthNeed, Question
from rankscope.analyses.probes.spec import ProbesSpec, RunExamplesSpec
from rankscope.core.errors import BadStudy, listed
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import Reference, to_collection, to_first_stage


def probed(study: Pipeline, question: Question) -> tuple[str, ...]:
    """The rankers whose layers are probed."""
    spec: ProbesSpec = question.spec
    return spec.rankers or question.explained(study)


def references(study: Pipeline, question: Question) -> Iterator[Reference]:
    """Collections, a first stage, rankers."""
    spec: ProbesSpec = question.spec
    place, examples = question.place, spec.examples
    explained = dict.fromkeys(question.named or study.rankers)
    if isinstance(examples, RunExamplesSpec):
        yield to_collection(study, f"{place}.examples.over", examples.over)
        yield to_collection(study, f"{place}.examples.train", examples.train)
        yield to_first_stage(study, f"{place}.examples.from", examples.first_stage)
    for name in spec.rankers or ():
        yield Reference(f"{place}.rankers", name, explained, "explained ranker")
    among = dict.fromkeys(spec.rankers or explained)
    for name in spec.published.curves if spec.published else ():
        yield Reference(f"{place}.published.curves", name, among, "probed ranker")
    for name in spec.baseline:
        yield Reference(f"{place}.baseline", name, among, "probed ranker")


def depths(study: Pipeline, question: Question) -> Iterator[DepthNeed]:  # noqa: ARG001
    """The depth of the run that negatives are drawn from."""
    examples = question.spec.examples
    if isinstance(examples, RunExamplesSpec):
        yield DepthNeed(f"{question.place}.examples.depth", examples.first_stage, examples.depth)


def check(study: Pipeline, question: Question) -> None:
    """Raises BadStudy where layers cannot be compared, or the rankers chose their own negatives."""
    _check_kinds(study, question)
    _check_compared(study, question)
    _check_first_stage(study, question)


def _check_kinds(study: Pipeline, question: Question) -> None:
    """All layers have states of the same kind: of texts, or of pairs."""
    spec: ProbesSpec = question.spec
    place, rankers = question.place, probed(study, question)
    if not rankers:
        raise BadStudy(f"{place}: the study has no bi_encoder. Name `rankers`, or drop it.")
    for name in rankers:
        if study.compares_tokens(name):
            named_in = f"{place}.rankers" if spec.rankers else "explain.rankers"
            raise BadStudy(
                f"{named_in}: {name} compares token by token, so no layer has one state of a text. Leave it out."
            )
    together = [name for name in rankers if not study.is_bi_encoder(name)]
    if together and len(together) < len(rankers):
        raise BadStudy(
            f"{place}: {together[0]} reads query and doc together, others apart, so their layers "
            "have states of different kinds. Give each kind probes of its own, by `rankers`."
        )
    if together and (spec.method == "as_published" or spec.also):
        raise BadStudy(
            f"{place}: `method: as_published` and `also` read query and doc apart, and "
            f"{together[0]} reads them together. Drop them, or leave it out."
        )


def _check_compared(study: Pipeline, question: Question) -> None:
    """Baselines and reported curves name rankers that are probed."""
    spec: ProbesSpec = question.spec
    rankers = probed(study, question)
    ranker_names = {"baseline": spec.baseline}
    if spec.published:
        ranker_names["published.curves"] = tuple(spec.published.curves)
    for field, name in ((field, name) for field, names in ranker_names.items() for name in names):
        if name not in rankers:
            raise BadStudy(
                f"{question.place}.{field}: {name} is not probed. There are: {listed(rankers)}."
            )


def _check_first_stage(study: Pipeline, question: Question) -> None:
    """No probed ranker chose the hard negatives."""
    examples = question.spec.examples
    if not isinstance(examples, RunExamplesSpec):
        return
    family = {ancestor for name in probed(study, question) for ancestor in study.lineage(name)}
    for ranker in _searching(study, examples.first_stage):
        if family & set(study.lineage(ranker)):
            raise BadStudy(
                f"{question.place}.examples.from: {examples.first_stage} searches with {ranker}, which is "
                "probed itself or of the lineage of one that is: docs that it ranks high are hard for it and not "
                "for others. Name another."
            )


def _searching(study: Pipeline, first_stage: str) -> list[str]:
    """The rankers that a first stage searches with, those of its parts included."""
    names_seen = {first_stage: None}
    for name in (queue := [first_stage]):
        parts = [part for part in _named(study, name, "first_stages") if part not in names_seen]
        names_seen |= dict.fromkeys(parts)
        queue += parts
    return [ranker for name in names_seen for ranker in _named(study, name, "rankers")]


def _named(study: Pipeline, first_stage: str, table: str) -> list[str]:
    """The entries of a table of the study that a first stage needs."""
    needs = study.first_stages[first_stage].needs
    return [need.name for need in needs if need.table == table]
