"""Several first stages fused."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rankscope.pipeline.spec.fields import Count, Spec


class FuseSpec(Spec):
    """Several first stages' runs as one."""

    kind: Literal["fuse"]
    of: tuple[str, ...] = Field(min_length=2, description="The first stages.")
    method: Literal["reciprocal_rank", "scores"] = Field(
        "reciprocal_rank",
        description="reciprocal_rank: the sum of 1 / (k + rank); scores: the mean of each run's scores, "
        "brought to 0..1 for each query (CombSUM: Fox & Shaw 1994).",
    )
    k: Count = Field(60, description="Of reciprocal_rank (Cormack et al. 2009).")
    depth: Count = Field(1000, description="Docs kept for each query.")

    @model_validator(mode="after")
    def _nothing_that_counts_for_nothing(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("`of` names a first stage twice")
        if self.method == "scores" and self.k != 60:
            raise ValueError("`k` goes with `method: reciprocal_rank`")
        return self
