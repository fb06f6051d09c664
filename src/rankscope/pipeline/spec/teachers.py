"""The specs of teachers: sources of the rankings that a stage is distilled from."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rankscope.data.answers import Malformed
from rankscope.llm.costs import Prices
from rankscope.llm.settings import OWN_FIELDS
from rankscope.pipeline.spec.fields import (
    BY_PLAN,
    FREE,
    Count,
    NonNegative,
    Positive,
    Seed,
    Spec,
    Whole,
)


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

    @property
    def shown(self) -> str:
        """The first stage whose docs it orders."""
        return self.candidates


class LLMTeacherSpec(Spec):
    """An LLM on a server, asked for its ranking of each query's docs (Sun et al. 2023, RankGPT); without a study: `teacher ask`.

    Neither the server, the key, the prices nor the budget is part of a result's identity.
    """

    kind: Literal["llm"]
    model: str = Field(description="The model's name on the server.")
    first_stage: str = Field(
        description="The first stage whose docs it orders.", json_schema_extra=BY_PLAN
    )
    depth: Count = Field(100, description="Docs it orders for each query.")
    endpoint: str = Field(
        description="The server's address, such as https://api.openai.com/v1; ${NAME:-default} is filled in from the environment.",
        json_schema_extra=FREE,
    )
    key_env: str = Field(
        "OPENAI_API_KEY",
        description="The variable of the environment that holds the key.",
        json_schema_extra=FREE,
    )
    way: Literal["listwise", "setwise", "pairwise", "pairwise_sliding"] = Field(
        "listwise",
        description="Windows that slide (RankGPT), heap sorts of threes (Zhuang et al. 2024) or of pairs, or passes over pairs "
        "(PRP, Qin et al. 2024).",
    )
    prompt: str | None = Field(
        None,
        description="rankgpt, rankvicuna, rankzephyr, setwise, pairwise, or a jinja2 file; the way's own, if left out.",
        json_schema_extra=BY_PLAN,
    )
    window: Count | None = Field(None, description="Docs shown at once: 20 listwise, 3 setwise.")
    step: Count | None = Field(None, description="Docs by which a window moves up: half of it.")
    passes: Count | None = Field(None, description="Passes of the windows, one, if left out.")
    top: Count | None = Field(None, description="Docs that a sort finds, 10, if left out.")
    order: Literal["initial", "shuffled"] = Field(
        "initial", description="The first stage's order, or one that is drawn, to be shown first."
    )
    orders: Count = Field(
        1,
        description="Lists from so many drawn orders, joined into the one nearest to all (Tang et al. 2023).",
    )
    seed: Seed | None = Field(
        None,
        description="Seed of the drawn orders; the study's, if left out.",
        json_schema_extra=BY_PLAN,
    )
    passage_words: Count | None = Field(
        None, description="Words of a passage, at most; 300, if left out, as RankGPT's."
    )
    passage_tokens: Count | None = Field(
        None, description="Tokens of a passage, at most, instead; needs `tokenizer`."
    )
    tokenizer: str | None = Field(
        None,
        description="The model's tokenizer.json or its folder: tokens are then counted, not estimated.",
        json_schema_extra=BY_PLAN,
    )
    malformed: Literal["repair", "repair_as_published"] = Field(
        "repair",
        description="For an answer that is no order of the docs shown; see `permutations`.",
    )
    temperature: NonNegative = Field(0.0, description="Temperature of the answers.")
    max_tokens: Count | None = Field(
        None, description="Tokens of an answer, at most; enough for the window, if left out."
    )
    fields: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of each request; null leaves one out."
    )
    parallel: Count = Field(8, description="Requests beside each other.", json_schema_extra=FREE)
    timeout: Positive = Field(
        120.0, description="Seconds to wait for an answer.", json_schema_extra=FREE
    )
    retries: Whole = Field(
        7,
        description="Further attempts for a request that fails for now.",
        json_schema_extra=FREE,
    )
    price_in: NonNegative = Field(
        0.0, description="Money for a million tokens of prompts.", json_schema_extra=FREE
    )
    price_out: NonNegative = Field(
        0.0, description="Money for a million tokens of answers.", json_schema_extra=FREE
    )
    budget: Positive | None = Field(
        None,
        description="Money for the answers over one collection: before it would be passed, asking ends.",
        json_schema_extra=FREE,
    )

    @field_validator("endpoint")
    @classmethod
    def _no_secret_in_it(cls, address: str) -> str:
        if "@" in address or "?" in address or "#" in address:
            raise ValueError(
                "it holds a name, a password or a query, and a study file is shared and shown: put the address into a "
                "variable of the environment, and write ${NAME}"
            )
        return address

    @field_validator("fields")
    @classmethod
    def _no_field_of_ours(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if ours := OWN_FIELDS & fields.keys():
            raise ValueError(f"`{min(ours)}` is set by rankscope; leave it out")
        return fields

    @property
    def shown(self) -> str:
        """The first stage whose docs it orders."""
        return self.first_stage

    @property
    def prices(self) -> Prices:
        """The prices of its tokens."""
        return Prices(self.price_in, self.price_out)


FileTeacherSpec = PermutationsTeacherSpec | RunTeacherSpec | ListsTeacherSpec


TeacherSpec = Annotated[
    FileTeacherSpec | RankerTeacherSpec | LLMTeacherSpec, Field(discriminator="kind")
]
