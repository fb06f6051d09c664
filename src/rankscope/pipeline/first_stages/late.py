"""A ColBERT that searches."""

from typing import Literal

from pydantic import Field

from rankscope.pipeline.spec.fields import Count, Spec


class LateSpec(Spec):
    """A ColBERT's best docs among all of a collection's: exact and slow, for small collections."""

    kind: Literal["late_interaction"]
    ranker: str = Field(description="The ranker, one of `kind: late_interaction`.")
    depth: Count = Field(1000, description="Docs kept for each query.")
