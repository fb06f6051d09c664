"""The whole of a study file: a pipeline, and analyses of the insides of its rankers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model

from rankscope.analyses.analysis import Analysis, Question
from rankscope.analyses.table import imported
from rankscope.pipeline.spec.fields import Name, Spec
from rankscope.pipeline.spec.pipeline import Pipeline


class NamedRankersSpec(Spec):
    """The rankers whose insides are analysed."""

    rankers: tuple[str, ...] | None = Field(
        None, description="All bi-encoders of `rankers`, if left out."
    )


def _field(analysis: Analysis) -> tuple[Any, Any]:
    """The field of `explain` for one analysis."""
    if analysis.has_names:
        table = dict[Name, analysis.spec]  # type: ignore[name-defined]
        return table, Field(default_factory=dict, description=analysis.description)
    return analysis.spec | None, Field(None, description=analysis.description)


if TYPE_CHECKING:
    ExplainSpec = NamedRankersSpec
else:
    ExplainSpec = create_model(
        "ExplainSpec",
        __base__=NamedRankersSpec,
        __module__=__name__,
        __doc__=NamedRankersSpec.__doc__,
        **{analysis.field: _field(analysis) for analysis in imported()},
    )
"""`explain`: the rankers, and a field for each analysis of the table."""


class Study(Pipeline):
    """A whole study file: a pipeline, and analyses of the insides of its rankers."""

    explain: ExplainSpec | None = Field(None, description="Analyses of the insides of rankers.")

    def questions(self) -> Iterator[tuple[Analysis, Question]]:
        """Every analysis that the study asks for, with its question, in the order of the table."""
        explain: Any = self.explain
        for analysis in imported() if explain else ():
            place, specs = f"explain.{analysis.field}", getattr(explain, analysis.field)
            if not analysis.has_names:
                specs = {analysis.field: specs} if specs else {}
            for key, spec in specs.items():
                at = f"{place}.{key}" if analysis.has_names else place
                yield analysis, Question(at, key, spec, explain.rankers)
