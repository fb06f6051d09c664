"""What must hold of the attributions a study asks for."""

from collections.abc import Iterator

from rankscope.analyses.analysis import DepthNeed, Question
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.core.errors import BadStudy, listed
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import Reference, to_collection, to_first_stage


def attributed(study: Pipeline, question: Question) -> tuple[str, ...]:
    """The rankers whose neurons are attributed."""
    spec: AttributionSpec = question.spec
    return spec.rankers or question.explained(study)


def references(study: Pipeline, question: Question) -> Iterator[Reference]:
    """A collection, a first stage, rankers."""
    spec: AttributionSpec = question.spec
    place = question.place
    explained = dict.fromkeys(question.named or study.rankers)
    if spec.over and spec.first_stage:
        yield to_collection(study, f"{place}.over", spec.over)
        yield to_first_stage(study, f"{place}.from", spec.first_stage)
    for name in spec.rankers or ():
        yield Reference(f"{place}.rankers", name, explained, "explained ranker")
    for name in spec.baseline:
        among = dict.fromkeys(spec.rankers or explained)
        yield Reference(f"{place}.baseline", name, among, "attributed ranker")


def depths(study: Pipeline, question: Question) -> Iterator[DepthNeed]:  # noqa: ARG001
    """The depth of the run that negatives are drawn from."""
    spec: AttributionSpec = question.spec
    if spec.first_stage:
        yield DepthNeed(f"{question.place}.depth", spec.first_stage, spec.depth)


def check(study: Pipeline, question: Question) -> None:
    """Raises BadStudy where no ranker is attributed, or one that compares token by token."""
    place, rankers = question.place, attributed(study, question)
    if not rankers:
        raise BadStudy(f"{place}: the study has no bi_encoder. Name `rankers`, or drop it.")
    for name in rankers:
        if study.compares_tokens(name):
            raise BadStudy(
                f"{place}.rankers: {name} compares token by token, which is not attributed. Leave it out."
            )
    for name in question.spec.baseline:
        if name not in rankers:
            raise BadStudy(
                f"{place}.baseline: {name} is not attributed. There are: {listed(rankers)}."
            )
