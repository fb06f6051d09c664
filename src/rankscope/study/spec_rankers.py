"""What a study file says of rankers: where they start, and how a stage tunes them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from rankscope.study.spec_fields import (
    FREE,
    LOSS_NAMES,
    GuardLevel,
    Measure,
    Share,
    Spec,
    known_guard,
    known_loss,
)


class ScratchSpec(Spec):
    """A small BERT built from nothing and pre-trained on the text of a collection."""

    kind: Literal["scratch"]
    collection: str = Field(description="Whose docs give the vocabulary and the text.")
    layers: PositiveInt = Field(2, description="Transformer layers.")
    width: PositiveInt = Field(128, description="Hidden width; a multiple of `heads`.")
    heads: PositiveInt = Field(4, description="Attention heads.")
    vocabulary: PositiveInt = Field(8000, description="Word pieces at most.")
    max_length: PositiveInt = Field(128, description="Positions.")
    updates: NonNegativeInt = Field(
        1000, description="Updates of masked-language pre-training; 0 leaves random weights."
    )
    docs_per_update: PositiveInt = Field(32, description="Docs in one update.")
    learning_rate: PositiveFloat = Field(1.0e-3, description="Peak learning rate of pre-training.")
    checkpoint_every: PositiveInt = Field(
        200, description="Updates between checkpoints.", json_schema_extra=FREE
    )

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"`width` must be a multiple of `heads`; {self.width} is none of {self.heads}"
            )
        return self


Backbone = Annotated[
    Annotated[str, Tag("name")] | Annotated[ScratchSpec, Tag("scratch")],
    Discriminator(lambda value: "scratch" if isinstance(value, Mapping | ScratchSpec) else "name"),
]


class CrossEncoderSpec(Spec):
    """Query and doc read together, on a pretrained backbone with a fresh scoring head."""

    kind: Literal["cross_encoder"]
    backbone: Backbone = Field(
        description="A hub id, a model folder, package:NAME/FOLDER, or a `scratch` backbone."
    )
    revision: str | None = Field(None, description="The hub revision; give a commit to pin it.")
    max_length: PositiveInt = Field(256, description="Tokens of query and doc together.")
    seed: NonNegativeInt | None = Field(
        None,
        description="Of the fresh head; the study's, if left out. `seeds: [1, 2, 3]` makes a ranker for each.",
    )


class BiEncoderSpec(Spec):
    """Query and doc read apart: a sentence-transformers model."""

    kind: Literal["bi_encoder"]
    model: str = Field(description="A hub id, a model folder, or package:NAME/FOLDER.")
    revision: str | None = Field(None, description="The hub revision; give a commit to pin it.")


class NegativesSpec(Spec):
    """Hard negatives out of a first stage's run."""

    first_stage: str = Field(description="Whose run they are drawn from.", alias="from")
    skip_top: NonNegativeInt = Field(
        0, description="Ranks left out at the top, where unjudged positives are."
    )
    depth: PositiveInt = Field(100, description="Ranks drawn from.")

    model_config = ConfigDict(populate_by_name=True)


class SamplesSpec(Spec):
    """What a stage learns from."""

    collection: str = Field("train", description="The training collection.")
    labels: str = Field(description="`qrels`, or the name of a teacher.")
    teacher_labels: Literal["ranks", "scores"] = Field(
        "ranks",
        description="What of a teacher the loss sees: n, n-1, ..., 1 down its order (study B), or its scores.",
    )
    negatives: NegativesSpec | None = Field(None, description="Needed with `labels: qrels`.")
    group_size: PositiveInt = Field(8, ge=2, description="Docs for each query.")
    missing_positive: Literal["add", "drop", "random_negative"] = Field(
        "add",
        description="A query none of whose positives was retrieved: add one, drop it, or, as study B's "
        "released code (a defect, with a warning), take a random negative for its positive.",
    )
    min_relevance: PositiveInt = Field(1, description="The lowest grade that makes a positive.")

    @model_validator(mode="after")
    def _negatives_where_labels_are_qrels(self) -> Self:
        if (self.labels == "qrels") != (self.negatives is not None):
            raise ValueError("`negatives` goes with `labels: qrels`, and with nothing else")
        return self

    @model_validator(mode="after")
    def _teacher_labels_only_of_a_teacher(self) -> Self:
        if self.labels == "qrels" and self.teacher_labels != "ranks":
            raise ValueError("`teacher_labels` goes with a teacher, not with `labels: qrels`")
        return self

    @model_validator(mode="after")
    def _enough_ranks_to_draw_from(self) -> Self:
        if self.negatives and self.negatives.depth - self.negatives.skip_top < self.group_size - 1:
            raise ValueError(
                f"a group of {self.group_size} needs {self.group_size - 1} negatives, but ranks "
                f"{self.negatives.skip_top + 1} to {self.negatives.depth} are drawn from; lower "
                "`group_size`, or widen `negatives`"
            )
        return self


class ValidateSpec(Spec):
    """How a stage is watched: a measure on held-out queries."""

    collections: tuple[str, ...] = Field(
        ("validation",),
        min_length=1,
        alias="collection",
        description="The held-out queries; of several collections the mean decides.",
    )
    first_stage: str = Field(description="Whose run is re-ranked.", alias="from")
    depth: PositiveInt = Field(20, description="Docs re-ranked for each query.")
    measure: Measure = Field("nDCG@10", description="Any measure of ir_measures.")
    every: PositiveInt = Field(100, description="Updates between two validations.")
    patience: PositiveInt | None = Field(
        None, description="Stop after so many validations in a row that were not the best so far."
    )

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _one_collection_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("collection"), str):
            return {**value, "collection": [value["collection"]]}
        return value


class LoRASpec(Spec):
    """Small trained matrices beside frozen ones (Hu et al. 2021); the scoring head is trained whole."""

    rank: PositiveInt = Field(16, description="Inner width of the trained matrices.")
    alpha: PositiveFloat = Field(32.0, description="Their product counts alpha / rank.")
    dropout: Share = Field(0.0, description="Of what goes into them.")
    targets: tuple[str, ...] = Field(
        (),
        description="Ends of module names, as `query`; all linear modules of the encoder, if empty.",
    )
    merge: bool = Field(
        True,
        description="Whether model/ is the whole model, the adapter beside it in adapter/; else it is "
        "the adapter alone, which needs the folder of the ranker it started from.",
    )


class MixedSpec(Spec):
    """A second loss over samples of its own, in the same updates: neither stage is first."""

    samples: SamplesSpec
    loss: Annotated[str, AfterValidator(known_loss)] = Field(
        description=f"One of {', '.join(LOSS_NAMES)}."
    )
    weight: float = Field(
        0.5, gt=0, lt=1, description="Of the second loss; the first has the rest."
    )


class TrainedSpec(Spec):
    """A ranker made from another by one stage of fine-tuning."""

    kind: Literal["trained"] = "trained"
    start: str = Field(description="The ranker it starts from.")
    samples: SamplesSpec
    loss: Annotated[str, AfterValidator(known_loss)] = Field(
        description=f"One of {', '.join(LOSS_NAMES)}."
    )
    mixed_with: MixedSpec | None = Field(
        None, description="A second loss in the same updates, over samples of its own."
    )
    max_updates: PositiveInt | None = Field(None, description="How long; or give `epochs`.")
    epochs: PositiveFloat | None = Field(None, description="How long; or give `max_updates`.")
    queries_per_update: PositiveInt = Field(16, description="Queries in one update, all devices.")
    queries_per_batch: PositiveInt = Field(
        16, description="Queries held in memory at once; the update accumulates."
    )
    learning_rate: PositiveFloat = Field(1.0e-5, description="Peak learning rate.")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="Its decay.")
    warmup: Share = Field(0.1, description="Share of the updates with a rising learning rate.")
    weight_decay: NonNegativeFloat = Field(0.01, description="For matrices only.")
    clip_norm: PositiveFloat = Field(1.0, description="Largest gradient norm.")
    freeze: tuple[Literal["position_embeddings", "embeddings", "encoder"], ...] = Field(
        (),
        description="Parts that stay as they are: position_embeddings as in study B; encoder leaves the "
        "scoring head alone to train.",
    )
    freeze_layers: NonNegativeInt = Field(
        0, description="So many of the lowest layers stay as they are, and the embeddings."
    )
    lora: LoRASpec | None = Field(None, description="Train a LoRA adapter and the head.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of the forward pass in training; auto is bfloat16 on an accelerator that has it. "
        "Weights, losses and scores of runs are float32.",
    )
    memory: Literal["plain", "gradient_checkpointing", "grad_cache"] = Field(
        "plain",
        description="What is computed twice to hold less: nothing, inside layers, or parts of a batch "
        "(GradCache: large groups on small memory).",
    )
    compile: bool = Field(False, description="Run the forward pass through torch.compile.")
    validate_on: ValidateSpec | None = Field(
        None, description="Held-out queries.", alias="validate"
    )
    keep: Literal["best_validation", "last"] | None = Field(
        None, description="Which weights are the result; best_validation where there is one."
    )
    seed: NonNegativeInt | None = Field(
        None,
        description="Of all that the stage draws; the study's, if left out. `seeds: [1, 2, 3]` makes a ranker for each.",
    )
    checkpoint_every: PositiveInt = Field(
        200, description="Updates between checkpoints.", json_schema_extra=FREE
    )
    guards: dict[Annotated[str, AfterValidator(known_guard)], GuardLevel] = Field(
        default_factory=dict,
        description="What follows when a guard ([guards.md](guards.md)) sees something, where it is not "
        "the guard's own level.",
        json_schema_extra=FREE,
    )
    trackers: tuple[str, ...] = Field(
        (),
        description="What else the log goes to, through accelerate: tensorboard, wandb, mlflow, ...",
        json_schema_extra=FREE,
    )

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.max_updates is None) == (self.epochs is None):
            raise ValueError("give either `max_updates` or `epochs`")
        if self.queries_per_update % self.queries_per_batch:
            raise ValueError("`queries_per_update` must be a multiple of `queries_per_batch`")
        if self.keep == "best_validation" and self.validate_on is None:
            raise ValueError("`keep: best_validation` needs `validate`")
        if self.lora and (self.freeze or self.freeze_layers):
            raise ValueError("`lora` freezes all but adapter and head; drop `freeze`")
        return self

    @property
    def kept(self) -> Literal["best_validation", "last"]:
        """Which weights are the result."""
        return self.keep or ("last" if self.validate_on is None else "best_validation")

    @property
    def lessons(self) -> list[tuple[str, SamplesSpec]]:
        """Each loss with the samples it learns from; there are two with `mixed_with`."""
        first = (self.loss, self.samples)
        return (
            [first, (self.mixed_with.loss, self.mixed_with.samples)] if self.mixed_with else [first]
        )


RANKER_KINDS: Mapping[str, type[Spec]] = {
    "cross_encoder": CrossEncoderSpec,
    "bi_encoder": BiEncoderSpec,
    "trained": TrainedSpec,
}


def ranker_kind(value: Any) -> str:
    """The kind of a ranker, written or read; one with a `start` need not say that it is trained."""
    if isinstance(value, Mapping):
        return str(value.get("kind", "trained" if "start" in value else "missing"))
    return str(getattr(value, "kind", "missing"))


RankerSpec = Annotated[
    Annotated[CrossEncoderSpec, Tag("cross_encoder")]
    | Annotated[BiEncoderSpec, Tag("bi_encoder")]
    | Annotated[TrainedSpec, Tag("trained")],
    Discriminator(
        ranker_kind,
        custom_error_type="ranker_kind",
        custom_error_message="give `kind: cross_encoder`, `kind: bi_encoder`, or `start: RANKER`",
    ),
]


def system_of(ranker: str, seed: int | None) -> str:
    """What the runs that differ in nothing but the seed are called together: C for C.seed=1."""
    return ranker if seed is None else ranker.removesuffix(f".seed={seed}")
