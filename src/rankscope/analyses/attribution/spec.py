"""The fields of a study file that attribute rankers' neurons."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    model_validator,
)

from rankscope.analyses.fields import FileKind, Names
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.pipeline.spec.fields import BY_PLAN, FREE, Count, Number, Spec, Whole, read_by

PUBLISHED_HAS_ITS_OWN = ("path", "nodes", "ablate")
"""Fields of attribution for which study A has other values, or no counterpart."""


class AttributedFileSpec(Spec):
    """A file whose queries bring their own relevant docs and hard negatives, as study A's data do."""

    kind: FileKind = Field(
        description="DPR's JSON; MS MARCO v1.1 with `is_selected`; or rows already drawn."
    )
    path: str = Field(
        description="JSON lines, one JSON list or Parquet.", json_schema_extra=BY_PLAN
    )


class AttributionSpec(Spec):
    """Through which feed-forward neurons rankers prefer a relevant doc over a hard negative."""

    over: str | None = Field(
        None,
        description="The collection whose queries and docs are read.",
        json_schema_extra=BY_PLAN,
    )
    first_stage: str | None = Field(
        None,
        alias="from",
        description="The first stage that negatives come from.",
        json_schema_extra=BY_PLAN,
    )
    file: AttributedFileSpec | None = Field(None, description="In place of `over` and `from`.")
    rankers: tuple[str, ...] | None = Field(
        None, description="All of `explain.rankers`, if left out.", json_schema_extra=BY_PLAN
    )
    baseline: Names = Field(
        (),
        description="The rankers that all are compared with; the first, if left out.",
        json_schema_extra=BY_PLAN,
    )
    method: Literal["sound", "as_published"] = Field(
        "sound", description="sound, or study A's target and sums, with warnings."
    )
    path: Literal["activations", "weights"] = Field(
        "activations",
        description="What the sound method scales from 0; weights, as in Dai et al. 2022.",
    )
    nodes: Count = Field(
        8,
        le=1000,
        description="Gauss-Legendre nodes of the sound method; study A's sum has 20 steps.",
    )
    examples: Annotated[Count, Field(ge=2, le=1_000_000)] = Field(
        50, description="Queries, each with one relevant doc and one hard negative."
    )
    depth: Count = Field(100, description="Ranks that negatives are drawn from.")
    skip_top: Whole = Field(
        0,
        description="Ranks left out at the top, where unjudged positives are (Moreira et al. 2024: top-k shifted).",
    )
    min_relevance: Count = Field(
        1,
        description="The lowest grade that makes a positive; TREC's passage tracks have 2 (Craswell et al. 2020).",
    )
    threshold: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None,
        description="A neuron is active above this share of the example's largest value; 0.1, if left out (as "
        "published 0.01 for LLaMA, Mistral and Qwen).",
        json_schema_extra=read_by("neurons"),
    )
    margin: Number = Field(
        DEFAULT_MARGIN,
        gt=0,
        description="The difference in Gini coefficients below which matrices are equivalent.",
        json_schema_extra=read_by("neurons"),
    )
    ablate: bool = Field(
        True,
        description="Whether attributions are checked by ablation of neurons (Vast et al. 2024).",
    )
    memory: Annotated[Number, Field(gt=0)] = Field(
        2.0, description="Gigabytes for gradients.", json_schema_extra=FREE
    )

    model_config = ConfigDict(populate_by_name=True)

    @property
    def is_published(self) -> bool:
        """Whether the method is study A's."""
        return self.method == "as_published"

    @model_validator(mode="after")
    def _texts_come_from_one_place(self) -> Self:
        names = (self.over, self.first_stage)
        if (self.file is None) != all(names) or any(names) != all(names):
            raise ValueError("give `over` and `from`, or `file` without them")
        if self.depth <= self.skip_top:
            raise ValueError("`depth` and `skip_top` leave no rank for negatives")
        return self

    @model_validator(mode="after")
    def _nothing_is_asked_in_vain(self) -> Self:
        if self.method == "as_published":
            self._refuse(PUBLISHED_HAS_ITS_OWN, "go with `method: sound`")
        if self.file:
            self._refuse(("depth", "skip_top", "min_relevance"), "go with `over` and `from`")
        return self

    def _refuse(self, names: Iterable[str], why: str) -> None:
        stated = [f"`{name}`" for name in names if name in self.model_fields_set]
        if stated:
            raise ValueError(f"{', '.join(stated)}: these {why}")
