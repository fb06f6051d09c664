"""The specs of teachers: sources of the rankings that a stage is distilled from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rankscope.data.answers import Malformed
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Spec


class PermutationsTeacherSpec(Spec):
    """An LLM as a teacher: its answers, `[5] > [18] > ...`, about docs it was shown in windows (Sun et al. 2023, RankGPT)."""

    kind: Literal["permutations"]
    path: str = Field(
        description="The answers: RankGPT's JSON list, or JSON lines of `query_id`, `response` and "
        "maybe `window`.",
        json_schema_extra=BY_PLAN,
    )
    candidates: str = Field(
        description="The docs it was shown, in their order: a run, or RankGPT's JSON lines.",
        json_schema_extra=BY_PLAN,
    )
    malformed: Malformed = Field(
        "repair",
        description="For an answer that is no order of the docs shown: repair it; repair it as RankGPT's program does, "
        "which takes every number for an id, those of a numbered list too; or drop the query as study B does.",
    )
    window: Count = Field(
        20, description="Docs shown at once, where the answers do not say which they are about."
    )
    step: Count = Field(10, description="Docs by which such a window moves up.")
    depth: Count = Field(20, description="Docs taken from each ranking.")

    @model_validator(mode="after")
    def _no_gap_between_windows(self) -> Self:
        if self.step > self.window:
            raise ValueError("`step` must not be larger than `window`: docs would be left out")
        return self


class RunTeacherSpec(Spec):
    """A teacher whose rankings of the training queries stand in a run file."""

    kind: Literal["run"]
    path: str = Field(
        description="A run in any form over the training queries.", json_schema_extra=BY_PLAN
    )
    candidates: str | None = Field(
        None,
        description="A run of the docs it was shown, in their order; only for its report.",
        json_schema_extra=BY_PLAN,
    )
    depth: Count = Field(20, description="Docs taken from each ranking.")


class ListsTeacherSpec(Spec):
    """A teacher from a training file: docs with scores, or positives and negatives."""

    kind: Literal["kd", "flag_embedding", "tevatron", "dpr"]
    path: str = Field(
        description="JSON lines, one JSON list or Parquet.", json_schema_extra=BY_PLAN
    )
    candidates: str | None = Field(
        None,
        description="A run of the docs it was shown, in their order; only for its report.",
        json_schema_extra=BY_PLAN,
    )
    depth: Count = Field(20, description="Docs taken from each list, the best first.")


class RankerTeacherSpec(Spec):
    """A teacher that is a ranker of this study."""

    kind: Literal["ranker"]
    ranker: str = Field(description="A ranker of this study.")
    candidates: str = Field(description="The first stage whose docs it orders.")
    depth: Count = Field(20, description="Docs it orders for each query.")


FileTeacherSpec = PermutationsTeacherSpec | RunTeacherSpec | ListsTeacherSpec


TeacherSpec = Annotated[FileTeacherSpec | RankerTeacherSpec, Field(discriminator="kind")]
