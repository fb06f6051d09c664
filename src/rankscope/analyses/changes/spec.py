"""What a study asks of two rankers, before and after."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Margin, Measure, Spec

Pairs = Annotated[
    Annotated[dict[str, str], Tag("table")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(lambda value: "table" if isinstance(value, Mapping) else "list"),
]


class HeadsSpec(Spec):
    """Heads fitted anew on the encoders of cross-encoders: whether a loss lies in the encoder or in the head (Tao et al. 2023)."""

    train: str = Field(
        description="The collection whose queries' candidates heads learn from, over the same docs.",
        json_schema_extra=BY_PLAN,
    )
    rankers: tuple[str, ...] | None = Field(
        None,
        description="Those of `pairs` whose losses are looked at; all, if left out.",
        json_schema_extra=BY_PLAN,
    )
    candidates: Annotated[Count, Field(ge=2, le=1000)] = Field(
        8, description="Docs of an example, the relevant one among them."
    )
    examples: Annotated[Count, Field(ge=20, le=1_000_000)] = Field(
        400, description="Examples learnt from at most; 20 or more, as some choose the penalty."
    )
    fits: Count = Field(3, le=1000, description="Heads on each encoder, which count as seeds.")
    measure: Measure | None = Field(
        None, description="The headline measure, if left out.", json_schema_extra=BY_PLAN
    )
    margin: Margin | None = Field(
        None,
        description="The difference in it below which two runs are equivalent; that of `evaluate.margin`, or "
        f"{DEFAULT_MARGIN:g}, if left out.",
        json_schema_extra=BY_PLAN,
    )


class ChangesSpec(Spec):
    """What moved between two rankers of one lineage, over a collection."""

    over: str = Field(description="The collection whose texts and rankings are compared.")
    first_stage: str = Field(
        alias="from",
        description="The first stage whose top both re-rank.",
        json_schema_extra=BY_PLAN,
    )
    pairs: Pairs | None = Field(
        None,
        description="Ranker -> the one it is held against; or rankers, each against the one it starts from. All tuned "
        "rankers (of `explain.rankers`, where given), if left out.",
        json_schema_extra=BY_PLAN,
    )
    depth: Annotated[Count, Field(ge=2)] | None = Field(
        None,
        description="Docs re-ranked; as many as in `evaluate.rerank`, or 20.",
        json_schema_extra=BY_PLAN,
    )
    texts: Annotated[Count, Field(ge=20, le=1_000_000)] = Field(
        500, description="States compared at most: of queries and docs, or of pairs."
    )
    neighbours: Count = Field(
        10,
        description="Nearest texts that may be shared (Gonen et al. 2020, of words).",
    )
    heads: HeadsSpec | None = Field(
        None, description="The control of heads fitted anew.", json_schema_extra=BY_PLAN
    )

    model_config = ConfigDict(populate_by_name=True)

    @field_validator("pairs", mode="before")
    @classmethod
    def _one_ranker_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _neighbours_are_among_the_texts(self) -> Self:
        if self.neighbours >= self.texts:
            raise ValueError(
                f"{self.neighbours} `neighbours` of a text among {self.texts} `texts`: give fewer"
            )
        return self

    @model_validator(mode="after")
    def _heads_rank_queries_they_have_not_seen(self) -> Self:
        if self.heads is not None and self.heads.train == self.over:
            raise ValueError(
                f"`heads.train` is {self.over}, whose queries the heads then rank: give another split or collection"
            )
        return self
