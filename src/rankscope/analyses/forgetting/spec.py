"""What a study asks of the forgetting matrix."""

from pydantic import Field

from rankscope.pipeline.spec.fields import Measure, Spec


class ForgettingSpec(Spec):
    """Every evaluated ranker against the one it starts from, on every collection: what a stage cost."""

    baseline: str | None = Field(
        None,
        description="What all are held against; each one's nearest evaluated ancestor, if left out.",
    )
    measure: Measure | None = Field(None, description="The headline measure, if left out.")
