"""The fields of a study file for the forgetting matrix."""

from pydantic import Field

from rankscope.pipeline.spec.fields import Measure, Spec


class ForgettingSpec(Spec):
    """Every evaluated ranker compared with the one it starts from, on every collection: the cost of a stage."""

    baseline: str | None = Field(
        None,
        description="The system that all are compared with; each one's nearest evaluated ancestor, if left out.",
    )
    measure: Measure | None = Field(None, description="The headline measure, if left out.")
