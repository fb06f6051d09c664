"""The fields of a study file that compare rankers before and after a stage."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Margin, Measure, Spec

ComparedPairs = Annotated[
    Annotated[dict[str, str], Tag("table")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(lambda value: "table" if isinstance(value, Mapping) else "list"),
]


class HeadsSpec(Spec):
    """Heads refitted on the encoders of cross-encoders, to locate a loss in encoder or head (Tao et al. 2023)."""

    train: str = Field(
        description="The collection whose queries' candidates heads learn from, over the same docs.",
        json_schema_extra=BY_PLAN,
    )
    rankers: tuple[str, ...] | None = Field(
        None,
        description="The rankers of `pairs` whose heads are refitted; all, if left out.",
        json_schema_extra=BY_PLAN,
    )
    candidates: Annotated[Count, Field(ge=2, le=1000)] = Field(
        8, description="Docs of an example, including the relevant one."
    )
    examples: Annotated[Count, Field(ge=20, le=1_000_000)] = Field(
        400,
        description="Most examples that a head learns from; at least 20, as some choose the penalty.",
    )
    fits: Count = Field(
        3, le=1000, description="Refitted heads on each encoder, which count as seeds."
    )
    measure: Measure | None = Field(
        None, description="The headline measure, if left out.", json_schema_extra=BY_PLAN
    )
    margin: Margin | None = Field(
        None,
        description="The difference in the measure below which two runs are equivalent; that of `evaluate.margin`, or "
        f"{DEFAULT_MARGIN:g}, if left out.",
        json_schema_extra=BY_PLAN,
    )


class ChangesSpec(Spec):
    """The changes between two rankers of one lineage, over a collection."""

    over: str = Field(description="The collection whose texts and rankings are compared.")
    first_stage: str = Field(
        alias="from",
        description="The first stage whose top both re-rank.",
        json_schema_extra=BY_PLAN,
    )
    pairs: ComparedPairs | None = Field(
        None,
        description="Ranker -> the one it is compared with; or rankers, each compared with the one it starts from. All "
        "tuned rankers (of `explain.rankers`, where given), if left out.",
        json_schema_extra=BY_PLAN,
    )
    depth: Annotated[Count, Field(ge=2)] | None = Field(
        None,
        description="Docs that both re-rank; as many as in `evaluate.rerank`, or 20, if left out.",
        json_schema_extra=BY_PLAN,
    )
    texts: Annotated[Count, Field(ge=20, le=1_000_000)] = Field(
        500, description="Most texts whose states are compared: of queries and docs, or of pairs."
    )
    neighbours: Count = Field(
        10,
        description="Nearest neighbours of a text that are compared (as Gonen et al. 2020 do for words).",
    )
    heads: HeadsSpec | None = Field(
        None, description="The control with refitted heads.", json_schema_extra=BY_PLAN
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
