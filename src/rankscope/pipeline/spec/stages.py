"""The specs of a training stage: loss and samples, length and learning rate, trained weights, validation."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    model_validator,
)

from rankscope.pipeline.spec.fields import (
    BY_PLAN,
    FREE,
    LOSS_NAMES,
    Count,
    GuardLevel,
    Measure,
    NonNegative,
    Number,
    Positive,
    Seed,
    Share,
    Spec,
    Whole,
    known_guard,
    known_loss,
)
from rankscope.pipeline.spec.recipes import RECIPES, filled
from rankscope.pipeline.spec.samples import Samples, SamplesSpec


class MomentumQueueSpec(Spec):
    """Negatives from a queue that a slowly following copy of the ranker fills (He et al. 2020, MoCo; Contriever)."""

    size: Count = Field(131_072, le=16_777_216, description="Embeddings in the queue.")
    momentum: Share = Field(
        0.9995, description="The share of its own weights that the copy keeps at each update."
    )


class ValidateSpec(Spec):
    """The validation of a stage: a measure on held-out queries."""

    collections: tuple[str, ...] = Field(
        ("validation",),
        min_length=1,
        alias="collection",
        description="The held-out queries; with several collections, the mean decides.",
    )
    first_stage: str = Field(
        description="The first stage whose run is re-ranked.",
        alias="from",
        json_schema_extra=BY_PLAN,
    )
    depth: Count = Field(20, description="Docs re-ranked for each query.")
    measure: Measure = Field("nDCG@10", description="Any measure of ir_measures.")
    every: Count = Field(100, description="Updates between two validations.")
    patience: Count | None = Field(
        None,
        description="Stop after so many validations in a row that were not the best so far (early stopping: "
        "Prechelt 1998).",
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

    rank: Count = Field(16, description="Inner width of the trained matrices.")
    alpha: Positive = Field(32.0, description="Their product is scaled by alpha / rank.")
    dropout: Share = Field(0.0, description="Dropout of their inputs.")
    targets: tuple[str, ...] = Field(
        (),
        description="Ends of module names, such as `query`; if empty, all linear modules of the encoder.",
    )
    merge: bool = Field(
        True,
        description="true: model/ is the whole model, and adapter/ beside it the adapter; false: model/ is "
        "the adapter alone, with the ranker it started from in model/base/.",
    )


class MixedSpec(Spec):
    """A second loss over samples of its own, in the same updates: one stage instead of two."""

    samples: SamplesSpec
    loss: Annotated[str, AfterValidator(known_loss)] = Field(
        description=f"One of {', '.join(LOSS_NAMES)}."
    )
    weight: Number = Field(
        0.5, gt=0, lt=1, description="Weight of the second loss; the first has the rest."
    )


class TrainedSpec(Spec):
    """A ranker made from another by one stage of fine-tuning."""

    kind: Literal["trained"] = "trained"
    start: str = Field(description="The ranker it starts from.", json_schema_extra=BY_PLAN)
    recipe: Literal["dpr", "contriever", "repllama", "aligned_queries"] | None = Field(
        None,
        description="Published hyper-parameters ([below](#recipes)) for all that is not written here.",
        json_schema_extra=BY_PLAN,
    )
    samples: Samples
    loss: Annotated[str, AfterValidator(known_loss)] = Field(
        description=f"One of {', '.join(LOSS_NAMES)}."
    )
    mixed_with: MixedSpec | None = Field(
        None, description="A second loss in the same updates, over samples of its own."
    )
    max_updates: Count | None = Field(
        None, description="Length of the training in updates; or give `epochs`."
    )
    epochs: Positive | None = Field(
        None, description="Length of the training in epochs; or give `max_updates`."
    )
    queries_per_update: Count = Field(16, description="Queries in one update, over all devices.")
    queries_per_batch: Count = Field(
        16,
        description="Queries held in memory at once; the update accumulates, and its loss is that of all its "
        "queries however they are cut. Not where a batch gives the negatives (`in_batch: true`): there it is "
        "part of the loss.",
    )
    learning_rate: Positive = Field(1.0e-5, description="Peak learning rate.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="Decay of the learning rate."
    )
    warmup: Share = Field(0.1, description="Share of the updates with a rising learning rate.")
    weight_decay: NonNegative = Field(0.01, description="For matrices only.")
    clip_norm: Positive = Field(1.0, description="Largest gradient norm.")
    dropout: Number | None = Field(
        None,
        ge=0,
        lt=1,
        description="The model's dropout in training; its own, if left out. Self-teaching has none (Zhuang & "
        "Zuccon 2022).",
    )
    in_batch: bool = Field(
        False,
        description="For a bi-encoder with `labels: qrels`: score each query with the other queries' docs "
        "too, except those known to be relevant for it.",
    )
    temperature: Positive = Field(
        1.0, description="For a bi-encoder: similarities are divided by it before the loss."
    )
    momentum_queue: MomentumQueueSpec | None = Field(
        None, description="The queue of negatives that `kind: crops` needs."
    )
    freeze: tuple[
        Literal["position_embeddings", "embeddings", "encoder", "query_tower", "doc_tower"], ...
    ] = Field(
        (),
        description="Parts that stay as they are: position_embeddings as in study B; encoder leaves the "
        "scoring head alone to train; a tower of a bi-encoder.",
    )
    freeze_layers: Whole = Field(
        0,
        description="Number of the lowest layers that stay as they are, with the embeddings (Lee et al. 2019).",
    )
    lora: LoRASpec | None = Field(None, description="Train a LoRA adapter and the head.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of the forward pass in training; auto is bfloat16 on an accelerator that has it. "
        "Weights, losses and scores of runs are float32 (mixed precision: Micikevicius et al. 2018).",
    )
    memory: Literal["plain", "gradient_checkpointing", "grad_cache"] = Field(
        "plain",
        description="What is computed twice to save memory: nothing, activations inside layers, or parts of a batch "
        "(GradCache: large groups on small memory).",
    )
    compile: bool = Field(
        False,
        description="Run the forward pass through torch.compile, as study B's code does.",
    )
    validate_on: ValidateSpec | None = Field(
        None, description="Held-out queries.", alias="validate"
    )
    keep: Literal["best_validation", "last"] | None = Field(
        None,
        description="The weights that are the result; best_validation if there is a validation.",
        json_schema_extra=BY_PLAN,
    )
    seed: Seed | None = Field(
        None,
        description="Seed of all draws of the stage; the study's, if left out. `seeds: [1, 2, 3]` makes a ranker for each.",
        json_schema_extra=BY_PLAN,
    )
    checkpoint_every: Count = Field(
        200, description="Updates between checkpoints.", json_schema_extra=FREE
    )
    guards: dict[Annotated[str, AfterValidator(known_guard)], GuardLevel] = Field(
        default_factory=dict,
        description="The level of a guard ([guards.md](guards.md)): what follows when it sees something. Those left "
        "out keep their own level.",
        json_schema_extra=FREE,
    )
    trackers: tuple[str, ...] = Field(
        (),
        description="Trackers that the log is also sent to, through accelerate: tensorboard, wandb, mlflow, ...",
        json_schema_extra=FREE,
    )

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _recipe_for_the_rest(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("recipe") not in [*RECIPES]:
            return value
        return filled(RECIPES[value["recipe"]].values, value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.max_updates is None) == (self.epochs is None):
            given = "neither stands here" if self.epochs is None else "both stand here"
            raise ValueError(f"give either `max_updates` or `epochs`; {given}")
        if self.queries_per_update % self.queries_per_batch:
            raise ValueError("`queries_per_update` must be a multiple of `queries_per_batch`")
        if self.keep == "best_validation" and self.validate_on is None:
            raise ValueError("`keep: best_validation` needs `validate`")
        if self.lora and (set(self.freeze) - {"query_tower", "doc_tower"} or self.freeze_layers):
            frozen = "`freeze: []`" if set(self.freeze) - {"query_tower", "doc_tower"} else ""
            layers = "`freeze_layers: 0`" if self.freeze_layers else ""
            written = " and ".join(filter(None, (frozen, layers)))
            raise ValueError(f"`lora` freezes all but adapter and head; write {written}")
        return self

    @model_validator(mode="after")
    def _samples_and_what_goes_with_them(self) -> Self:
        if isinstance(self.samples, SamplesSpec):
            if self.momentum_queue:
                raise ValueError("`momentum_queue` goes with `samples: {kind: crops}`")
            return self
        docs = getattr(self.samples, "docs", None)
        if self.loss != ("info_nce" if docs is None else "kl"):
            other = (
                "" if self.samples.kind == "crops" else ", or with `samples.docs` with `loss: kl`"
            )
            raise ValueError(
                f"`kind: {self.samples.kind}` goes with `loss: info_nce`{other}; the loss is {self.loss}"
            )
        if self.mixed_with:
            raise ValueError(f"`kind: {self.samples.kind}` goes with no `mixed_with`; drop it")
        if self.samples.kind == "crops" and self.momentum_queue is None:
            raise ValueError("`kind: crops` needs `momentum_queue`, as in `momentum_queue: {}`")
        if self.samples.kind != "crops" and self.momentum_queue is not None:
            raise ValueError(
                f"`momentum_queue` goes with `kind: crops`, and the samples are `kind: {self.samples.kind}`; drop it"
            )
        if self.queries_per_batch != self.queries_per_update:
            raise ValueError(
                f"`kind: {self.samples.kind}` needs `queries_per_batch` equal to `queries_per_update`: an "
                "update is one batch. Save memory with `memory: grad_cache`"
            )
        if self.samples.kind == "noisy_queries" and self.queries_per_update < 2:
            raise ValueError("`kind: noisy_queries` needs `queries_per_update` of 2 or more")
        return self

    @property
    def kept(self) -> Literal["best_validation", "last"]:
        """The weights that are the result."""
        return self.keep or ("last" if self.validate_on is None else "best_validation")

    @property
    def pairs_per_update(self) -> int:
        """Pairs of a query and a doc that one update learns from, where groups are full; without labels, couples of texts.

        Negatives that other queries of a batch give are not counted.
        """
        return self.queries_per_update * (
            sum(samples.group_size for _, samples in self.lessons) or 1
        )

    @property
    def lessons(self) -> list[tuple[str, SamplesSpec]]:
        """Each loss with the labelled samples it learns from; two with `mixed_with`, none without labels."""
        if not isinstance(self.samples, SamplesSpec):
            return []
        first = (self.loss, self.samples)
        return (
            [first, (self.mixed_with.loss, self.mixed_with.samples)] if self.mixed_with else [first]
        )
