"""The specs of rankers in a study file, and of their models."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rankscope.pipeline.spec.collections import FactsSpec
from rankscope.pipeline.spec.fields import (
    BY_PLAN,
    FREE,
    Count,
    GuardLevel,
    NonNegative,
    Number,
    Positive,
    Seed,
    Share,
    Spec,
    Tokens,
    Whole,
    known_guard,
)
from rankscope.pipeline.spec.stages import TrainedSpec

PARAMETERS, LAYERS = 1_000_000_000, 1000
"""The most of a backbone built from nothing; training takes four numbers for each weight."""


class ScratchSpec(Spec):
    """A small BERT built from nothing and pre-trained on the text of a collection."""

    kind: Literal["scratch"]
    collection: str = Field(
        description="The collection whose docs give the vocabulary and the text.",
        json_schema_extra=BY_PLAN,
    )
    layers: Count = Field(2, description="Transformer layers.")
    width: Count = Field(128, description="Hidden width; a multiple of `heads`.")
    heads: Count = Field(4, description="Attention heads.")
    vocabulary: Count = Field(8000, description="Word pieces at most.")
    max_length: Tokens = Field(128, description="Positions.")
    updates: Whole = Field(
        1000, description="Updates of masked-language pre-training; 0 leaves random weights."
    )
    passes: Count | None = Field(
        None,
        description="In place of `updates`: how often every doc is read. A fact is read as often in each doc that states it.",
    )
    docs_per_update: Count = Field(32, le=1_000_000, description="Docs in one update.")
    learning_rate: Positive = Field(1.0e-3, description="Peak learning rate of pre-training.")
    weight_decay: NonNegative = Field(0.01, description="In pre-training, for matrices only.")
    dropout: Number | None = Field(
        None,
        ge=0,
        lt=1,
        description="Dropout in pre-training; BERT's 0.1, if left out. A small model learns facts without.",
    )
    predicted: Share = Field(
        0.15, gt=0, description="Share of tokens that are predicted (Devlin et al. 2019)."
    )
    facts: FactsSpec | None = Field(
        None,
        description="Facts that pre-training is to know. The object of a fact whose subject a doc names is masked as a whole, "
        "one of them each time a doc is read (salient spans: Guu et al. 2020), beside the share `predicted` of the other tokens; "
        "at the end every fact is asked as a cloze.",
        json_schema_extra=BY_PLAN,
    )
    whole_objects: bool = Field(
        True,
        description="Whether objects of `facts` are masked as a whole; else they are only asked. (salient spans: Guu et al. 2020, REALM)",
    )
    checkpoint_every: Count = Field(
        200, description="Updates between checkpoints.", json_schema_extra=FREE
    )
    guards: dict[Annotated[str, AfterValidator(known_guard)], GuardLevel] = Field(
        default_factory=dict,
        description="The level of a guard ([guards.md](guards.md)) of pre-training: `unknown_facts` looks at the base's clozes.",
        json_schema_extra=FREE,
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.passes is not None and "updates" in self.model_fields_set:
            raise ValueError("give either `passes` or `updates`; both stand here")
        return self

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"`width` must be a multiple of `heads`; {self.width} is none of {self.heads}"
            )
        return self

    @model_validator(mode="after")
    def _it_fits_into_a_machine(self) -> Self:
        if self.n_parameters > PARAMETERS or self.layers > LAYERS:
            raise ValueError(
                f"{self.layers:,} layers of width {self.width:,} with {self.vocabulary:,} word pieces and "
                f"{self.max_length:,} positions have {self.n_parameters:,} weights, {16 * self.n_parameters / 1e9:,.1f} GB "
                f"in training; {LAYERS:,} layers and {PARAMETERS:,} weights are the most here. Lower them, or start from a pretrained backbone"
            )
        return self

    @property
    def n_parameters(self) -> int:
        """Weights of the layers' matrices and the embeddings: nearly all that a BERT has."""
        return self.width * (12 * self.width * self.layers + self.vocabulary + self.max_length)


Backbone = Annotated[
    Annotated[str, Tag("name")] | Annotated[ScratchSpec, Tag("scratch")],
    Discriminator(lambda value: "scratch" if isinstance(value, Mapping | ScratchSpec) else "name"),
]


REVISION: Any = Field(
    None, description="The hub revision; give a commit to pin it.", json_schema_extra=BY_PLAN
)


class CrossEncoderSpec(Spec):
    """Query and doc read together, on a pretrained backbone with a fresh scoring head."""

    kind: Literal["cross_encoder"]
    backbone: Backbone = Field(
        description="A hub id, a model folder, package:NAME/FOLDER, or a `scratch` backbone.",
        json_schema_extra=BY_PLAN,
    )
    revision: str | None = REVISION
    max_length: Tokens = Field(256, description="Tokens of query and doc together.")
    seed: Seed | None = Field(
        None,
        description="Seed of the fresh head; the study's, if left out. `seeds: [1, 2, 3]` makes a ranker for each.",
        json_schema_extra=BY_PLAN,
    )


class LengthsSpec(Spec):
    """Tokens that are read of a text, special ones included."""

    query: Tokens = Field(64, description="Tokens of a query.")
    doc: Tokens = Field(256, description="Tokens of a doc.")


class PrefixesSpec(Spec):
    """Text that is put before every text, as E5's `query: ` and `passage: `; it is saved with the model."""

    query: str = Field("", description="Before a query.")
    doc: str = Field("", description="Before a doc.")


class BiEncoderSpec(Spec):
    """Query and doc read apart: a sentence-transformers model, or bare encoders with a pooling."""

    kind: Literal["bi_encoder"]
    model: str | None = Field(
        None,
        description="A sentence-transformers model: a hub id, a folder, or package:NAME/FOLDER. Its "
        "pooling and lengths are its own; so are its prefixes, where `prefixes` gives none.",
        json_schema_extra=BY_PLAN,
    )
    revision: str | None = REVISION
    backbone: Backbone | None = Field(
        None,
        description="In place of `model`: a bare encoder or decoder, or a `scratch` backbone.",
        json_schema_extra=BY_PLAN,
    )
    doc_backbone: str | None = Field(
        None,
        description="The docs' encoder, where it is not the queries' (DPR's context encoder).",
        json_schema_extra=BY_PLAN,
    )
    doc_revision: str | None = Field(
        None, description="Its hub revision.", json_schema_extra=BY_PLAN
    )
    adapter: str | None = Field(
        None,
        description="A PEFT adapter to be added into the backbone's weights, as RepLLaMA is published.",
        json_schema_extra=BY_PLAN,
    )
    adapter_revision: str | None = Field(
        None, description="Its hub revision.", json_schema_extra=BY_PLAN
    )
    pooling: Literal["cls", "mean", "last"] = Field(
        "mean",
        description="Pooling of the states of a text's tokens to its vector; real tokens only.",
    )
    similarity: Literal["dot", "cosine"] = Field("dot", description="Similarity of two vectors.")
    towers: Literal["shared", "separate"] = Field(
        "shared",
        description="Whether one encoder reads queries and docs, or each has its own; a `model` of one gets "
        "a copy for the docs.",
    )
    prefixes: PrefixesSpec = Field(default_factory=PrefixesSpec)  # type: ignore[arg-type]
    max_length: LengthsSpec = Field(default_factory=LengthsSpec)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _either_a_model_or_a_backbone(self) -> Self:
        if (self.model is None) == (self.backbone is None):
            given = "both stand here" if self.model else "neither stands here"
            raise ValueError(f"give either `model` or `backbone`; {given}")
        if isinstance(self.backbone, ScratchSpec):
            longest = max(self.max_length.query, self.max_length.doc)
            if longest > self.backbone.max_length:
                raise ValueError(
                    f"`max_length` asks for {longest} tokens, and the scratch backbone has "
                    f"{self.backbone.max_length} positions; lower it, or raise `backbone.max_length`"
                )
        for revision, name in {
            "doc_revision": "doc_backbone",
            "adapter_revision": "adapter",
        }.items():
            if getattr(self, revision) is not None and getattr(self, name) is None:
                raise ValueError(f"`{revision}` goes with `{name}`")
        written = {
            name
            for name, field in type(self).model_fields.items()
            if name not in {"kind", "model", "revision", "towers", "prefixes"}
            and getattr(self, name) != field.get_default(call_default_factory=True)
        }
        if self.model is not None and written:
            raise ValueError(
                f"{', '.join(sorted(written))}: goes with `backbone`; a `model` has its own"
            )
        if self.doc_backbone is not None and self.towers == "shared":
            raise ValueError("`doc_backbone` needs `towers: separate`")
        if self.adapter is not None and self.doc_backbone is not None:
            raise ValueError("`adapter` goes with one backbone; drop `doc_backbone`")
        return self


class LateInteractionSpec(Spec):
    """Query and doc read apart, token by token: a ColBERT, used as it is."""

    kind: Literal["late_interaction"]
    model: str = Field(
        description="A folder of sentence-transformers, PyLate or Stanford, or a hub id.",
        json_schema_extra=BY_PLAN,
    )
    revision: str | None = REVISION


RANKER_KINDS: Mapping[str, type[Spec]] = {
    "cross_encoder": CrossEncoderSpec,
    "bi_encoder": BiEncoderSpec,
    "late_interaction": LateInteractionSpec,
    "trained": TrainedSpec,
}


def ranker_kind(value: Any) -> str:
    """The kind of a ranker, as plain values or as a spec; one with a `start` need not name its kind."""
    if isinstance(value, Mapping):
        return str(value.get("kind", "trained" if "start" in value else "missing"))
    return str(getattr(value, "kind", "missing"))


RankerSpec = Annotated[
    Annotated[CrossEncoderSpec, Tag("cross_encoder")]
    | Annotated[BiEncoderSpec, Tag("bi_encoder")]
    | Annotated[LateInteractionSpec, Tag("late_interaction")]
    | Annotated[TrainedSpec, Tag("trained")],
    Discriminator(
        ranker_kind,
        custom_error_type="ranker_kind",
        custom_error_message="give `kind: cross_encoder`, `kind: bi_encoder`, `kind: late_interaction`, or "
        "`start: RANKER`",
    ),
]


def system_of(ranker: str, seed: int | None) -> str:
    """The common name of the runs that differ in the seed alone: C for C.seed=1."""
    return ranker if seed is None else ranker.removesuffix(f".seed={seed}")
