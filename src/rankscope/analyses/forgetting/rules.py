"""What must hold of the forgetting matrix that a study asks for."""

from collections.abc import Iterator

from rankscope.analyses.analysis import DepthNeed, Question
from rankscope.analyses.forgetting.pairs import baselines_of_systems
from rankscope.analyses.forgetting.spec import ForgettingSpec
from rankscope.core.errors import BadStudy
from rankscope.pipeline.spec.pipeline import Pipeline
from rankscope.pipeline.spec.references import Reference, to_evaluated


def references(study: Pipeline, question: Question) -> Iterator[Reference]:
    """The baseline."""
    spec: ForgettingSpec = question.spec
    if spec.baseline:
        yield to_evaluated(study, f"{question.place}.baseline", spec.baseline)


def depths(study: Pipeline, question: Question) -> Iterator[DepthNeed]:  # noqa: ARG001
    """None: the matrix reads what the evaluation measured."""
    yield from ()


def check(study: Pipeline, question: Question) -> None:
    """Raises BadStudy where no evaluated ranker starts from an evaluated one, or the measure is not evaluated."""
    spec: ForgettingSpec = question.spec
    place = question.place
    if spec.baseline is not None and not baselines_of_systems(study, spec):
        raise BadStudy(
            f"{place}.baseline: {spec.baseline} is all that is evaluated, so nothing can be compared with it. "
            "Add others to `evaluate.rankers`."
        )
    if not baselines_of_systems(study, spec):
        raise BadStudy(
            f"{place}: no evaluated ranker starts from another evaluated one. Add those to "
            "`evaluate.rankers`, or give `baseline`."
        )
    if spec.measure is not None and spec.measure not in study.evaluate.measures:
        raise BadStudy(
            f"{place}.measure: {spec.measure} is not evaluated. Add it to `evaluate.measures`; there are: "
            f"{', '.join(study.evaluate.measures)}."
        )
