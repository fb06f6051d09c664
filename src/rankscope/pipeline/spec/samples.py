"""The specs of a stage's samples: docs with labels and their negatives, crops of docs, noisy queries."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rankscope.data.noise import NoiseKind
from rankscope.pipeline.spec.fields import (
    BY_PLAN,
    Count,
    NonNegative,
    Number,
    Share,
    Spec,
    Whole,
)


class NegativesSpec(Spec):
    """Hard negatives from a first stage's run."""

    first_stage: str = Field(
        description="The first stage whose run they are drawn from.",
        alias="from",
        json_schema_extra=BY_PLAN,
    )
    skip_top: Whole = Field(
        0,
        description="Ranks left out at the top, where unjudged positives are likely (Moreira et al. 2024: top-k shifted).",
    )
    depth: Count = Field(100, description="Ranks drawn from.")
    rescored_by: str | None = Field(
        None,
        description="A ranker, as a cross-encoder, that re-orders the run first: ranks and margins are its own "
        "(Qu et al. 2021, RocketQA).",
        json_schema_extra=BY_PLAN,
    )
    absolute_margin: NonNegative | None = Field(
        None,
        description="A negative scores at least this much below the query's best retrieved positive (Moreira et al. "
        "2024, NV-Retriever: MarginPos).",
    )
    relative_margin: Share | None = Field(
        None,
        description="The margin as a share of the positive's score: 0.05 leaves docs of at most 95 % of it "
        "(Moreira et al. 2024: PercPos).",
    )
    refresh_every: Count | None = Field(
        None,
        description="For a bi-encoder: every so many updates, negatives are drawn from the ranker's own nearest docs "
        "(Xiong et al. 2021, ANCE).",
    )

    model_config = ConfigDict(populate_by_name=True)


class SamplesSpec(Spec):
    """The labelled samples of a stage."""

    kind: Literal["labelled"] = "labelled"
    collection: str = Field(
        "train", description="The training collection.", json_schema_extra=BY_PLAN
    )
    labels: str = Field(description="`qrels`, or the name of a teacher.", json_schema_extra=BY_PLAN)
    teacher_labels: Literal["ranks", "scores"] = Field(
        "ranks",
        description="The labels from a teacher: n, n-1, ..., 1 down its order (study B), or its scores "
        "(Hofstätter et al. 2020, MarginMSE).",
    )
    negatives: NegativesSpec | None = Field(None, description="Needed with `labels: qrels`.")
    group_size: Count = Field(8, ge=2, le=10_000, description="Docs for each query.")
    missing_positive: Literal["add", "drop", "random_negative"] = Field(
        "add",
        description="For a query none of whose positives was retrieved: add one, drop the query, or, as study B's "
        "released code (a defect, with a warning), take a random negative for its positive.",
    )
    min_relevance: Count = Field(
        1,
        description="The lowest grade that makes a positive; TREC's passage tracks have 2 (Craswell et al. 2020).",
    )

    @model_validator(mode="after")
    def _negatives_where_labels_are_qrels(self) -> Self:
        if self.labels == "qrels" and self.negatives is None:
            raise ValueError(
                "`negatives` is missing, which `labels: qrels` needs, as in `negatives: {from: FIRST_STAGE}`"
            )
        if self.labels != "qrels" and self.negatives is not None:
            raise ValueError(
                f"`negatives` goes with `labels: qrels`, and here stands `labels: {self.labels}`: a teacher's list has "
                "negatives of its own. Drop `negatives`"
            )
        return self

    @model_validator(mode="after")
    def _refreshed_ones_are_its_own(self) -> Self:
        if self.negatives and self.negatives.refresh_every and self.negatives.rescored_by:
            raise ValueError(
                "`refresh_every` draws from the ranker's own nearest docs; drop `rescored_by`"
            )
        if (
            self.negatives
            and self.negatives.refresh_every
            and self.negatives.absolute_margin is not None
        ):
            raise ValueError(
                "`absolute_margin` would be compared with a first stage's scores, and from `refresh_every` on "
                "with similarities; use `relative_margin`"
            )
        return self

    @model_validator(mode="after")
    def _teacher_labels_only_of_a_teacher(self) -> Self:
        if self.labels == "qrels" and self.teacher_labels != "ranks":
            raise ValueError("`teacher_labels` goes with a teacher, not with `labels: qrels`")
        return self

    @model_validator(mode="after")
    def _enough_ranks_to_draw_from(self) -> Self:
        if self.negatives and self.negatives.skip_top >= self.negatives.depth:
            raise ValueError(
                f"`negatives.skip_top` leaves out {self.negatives.skip_top} of the {self.negatives.depth} ranks of "
                "`negatives.depth`, which leaves none; lower it, or raise `negatives.depth`"
            )
        if self.negatives and self.negatives.depth - self.negatives.skip_top < self.group_size - 1:
            raise ValueError(
                f"a group of {self.group_size} needs {self.group_size - 1} negatives, but ranks "
                f"{self.negatives.skip_top + 1} to {self.negatives.depth} are drawn from; lower "
                "`group_size`, or widen `negatives`"
            )
        return self


class CropsSpec(Spec):
    """Two random crops of every doc belong together: learning without queries (Contriever)."""

    kind: Literal["crops"]
    collection: str = Field(
        "train", description="The collection whose docs are cropped.", json_schema_extra=BY_PLAN
    )
    shortest: Number = Field(0.05, gt=0, le=1, description="Shortest crop, as a share of the doc.")
    longest: Number = Field(0.5, gt=0, le=1, description="Longest crop, as a share of the doc.")
    deletion: Number = Field(0.1, ge=0, lt=1, description="The chance of each word to be left out.")

    @model_validator(mode="after")
    def _shortest_first(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("`shortest` must not be above `longest`")
        return self


class NoisyQueriesSpec(Spec):
    """Every query with a typo or swapped words belongs to its clean form: no labels."""

    kind: Literal["noisy_queries"]
    collection: str = Field(
        "train",
        description="The collection whose queries are learnt from.",
        json_schema_extra=BY_PLAN,
    )
    docs: str | None = Field(
        None,
        description="With `loss: kl`: the collection over whose docs a noisy query is to score as its clean "
        "form did at the start. With `loss: info_nce` a query is contrasted with the batch's other queries.",
        json_schema_extra=BY_PLAN,
    )
    depth: Count = Field(
        100,
        description="With `docs`: the number of docs nearest to each clean query, which all queries of a batch score.",
    )
    crops: Share = Field(
        0.0,
        description="With `docs`: the share of the queries that are three to seven words running from one of "
        "them instead, which adds the docs' own words (after the inverse cloze task, Lee et al. 2019).",
    )
    clean: Share = Field(0.0, description="The share of the queries that are left without noise.")
    noise: tuple[NoiseKind, ...] = Field(
        ("typos",), min_length=1, description="One of them is drawn for each query and epoch."
    )
    alignment: NonNegative = Field(
        1.0,
        description="Weight, beside the contrast, of the distance that a clean query's embedding has moved "
        "(CAPOT: Campos et al. 2023).",
    )


def _kind_of_samples(value: Any) -> str:
    """Samples with labels need not say their kind."""
    if isinstance(value, Mapping):
        return str(value.get("kind", "labelled"))
    return str(getattr(value, "kind", "labelled"))


Samples = Annotated[
    Annotated[SamplesSpec, Tag("labelled")]
    | Annotated[CropsSpec, Tag("crops")]
    | Annotated[NoisyQueriesSpec, Tag("noisy_queries")],
    Discriminator(
        _kind_of_samples,
        custom_error_type="samples_kind",
        custom_error_message="give `labels`, `kind: crops`, or `kind: noisy_queries`",
    ),
]
