"""A bi-encoder that searches."""

from typing import Literal

from pydantic import Field

from rankscope.pipeline.spec.fields import Count, Spec


class DenseSpec(Spec):
    """A bi-encoder's nearest docs among all of a collection's."""

    kind: Literal["dense"]
    ranker: str = Field(description="The bi-encoder; one of `rankers`, tuned or not.")
    index: Literal["exact", "flat", "ivf", "hnsw"] = Field(
        "exact",
        description="exact compares with every doc; the others are faiss's (`rankscope[ann]`; Johnson et al. 2021): "
        "ivf and hnsw (Malkov & Yashunin 2020) are faster on millions of docs and miss some, and the step says how "
        "many.",
    )
    depth: Count = Field(1000, description="Docs kept for each query.")
