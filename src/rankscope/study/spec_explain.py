"""What a study asks of the insides of its rankers."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rankscope.study.spec_changes import ChangesSpec, ForgettingSpec
from rankscope.study.spec_fields import FREE, Count, Name, Number, Spec, Whole


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Several names; one may be written without a list."""
FileKind = Literal["dpr", "ms_marco_qa", "sampled"]
PROBE_DEFAULTS = (2, 3, 4, 5)
PUBLISHED_HAS_ITS_OWN = ("path", "nodes", "ablate")
"""Of attribution: choices that study A made otherwise, or does not have."""


class RunExamplesSpec(Spec):
    """A collection's queries, one of their relevant docs, and hard negatives out of a first stage's run."""

    kind: Literal["collection"] = "collection"
    over: str = Field(description="The collection that is tested on.")
    train: str = Field(
        description="The collection whose queries probes are trained on, over the same docs."
    )
    first_stage: str = Field(
        alias="from", description="A first stage that none of the rankers has a part in."
    )
    depth: Count = Field(100, description="Ranks drawn from.")
    skip_top: Whole = Field(
        0, description="Ranks left out at the top, where unjudged positives are."
    )
    min_relevance: Count = Field(1, description="The lowest grade that makes a positive.")

    model_config = ConfigDict(populate_by_name=True)


class FileExamplesSpec(Spec):
    """Files whose queries bring their own relevant docs and hard negatives, as study A's data do."""

    kind: FileKind = Field(
        description="DPR's JSON; MS MARCO v1.1 with `is_selected`; or rows already drawn."
    )
    train: str = Field(description="JSON lines, one JSON list or Parquet.")
    test: str = Field(description="Another file of the kind.")


def _kind_of_examples(value: Any) -> str:
    """A collection's examples need not say their kind."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return "collection" if kind in (None, "collection") else "files"


Examples = Annotated[
    Annotated[RunExamplesSpec, Tag("collection")] | Annotated[FileExamplesSpec, Tag("files")],
    Discriminator(_kind_of_examples),
]


class PublishedCurvesSpec(Spec):
    """Accuracies by layer out of a paper, drawn beside one's own."""

    path: str = Field(
        description="CSV with dataset, encoder, model, num_passages, layer, accuracy."
    )
    dataset: str = Field(description="Which of its datasets.")
    curves: dict[str, str] = Field(
        description="Ranker of this study -> `encoder/model` of the file, as `cls/dpr-question`."
    )


class ProbesSpec(Spec):
    """What a probe reads of relevance in every layer of the bi-encoders."""

    examples: Examples
    rankers: tuple[str, ...] | None = Field(
        None, description="All of `explain.rankers`, if left out."
    )
    candidates: tuple[Annotated[Count, Field(ge=2, le=1000)], ...] = Field(
        PROBE_DEFAULTS,
        min_length=1,
        max_length=100,
        description="Among how many docs the relevant one is to be found.",
    )
    method: Literal["sound", "as_published"] = Field(
        "sound", description="sound, or study A's linear probe and test, with warnings."
    )
    fits: Count = Field(3, le=1000, description="Fits of every probe, each with a seed of its own.")
    rank: Count = Field(32, le=65_536, description="Of the bilinear probe.")
    mlp: bool = Field(False, description="Also a small MLP, as an upper bound.")
    margin: Number = Field(
        0.02, gt=0, description="The difference in accuracy below which layers are equivalent."
    )
    baseline: Names = Field(
        (),
        description="The rankers that all are compared with, layer by layer; the first, if left out.",
    )
    pooling: Literal["cls", "mean", "last"] | None = Field(
        None, description="What of a text's tokens is its state; as the ranker pools, if left out."
    )
    dtype: Literal["float32", "float16"] = Field(
        "float32", description="Of the stored states; float16 takes half the room."
    )
    at_random: bool = Field(
        True,
        description="Whether the first ranker's architecture with random weights is probed too.",
    )
    published: PublishedCurvesSpec | None = Field(
        None, description="Reported curves that stand beside these."
    )

    @model_validator(mode="after")
    def _enough_to_choose_from(self) -> Self:
        drawn = self.examples
        if (
            isinstance(drawn, RunExamplesSpec)
            and drawn.depth - drawn.skip_top < max(self.candidates) - 1
        ):
            raise ValueError(
                "`examples.depth` and `skip_top` leave too few ranks for so many `candidates`"
            )
        if self.method == "as_published" and self.mlp:
            raise ValueError("`mlp` goes with `method: sound`")
        return self


class AttributedFileSpec(Spec):
    """A file whose queries bring their own relevant docs and hard negatives, as study A's data do."""

    kind: FileKind = Field(
        description="DPR's JSON; MS MARCO v1.1 with `is_selected`; or rows already drawn."
    )
    path: str = Field(description="JSON lines, one JSON list or Parquet.")


class AttributionSpec(Spec):
    """Through which feed-forward neurons rankers prefer a relevant doc over a hard negative."""

    over: str | None = Field(None, description="The collection whose queries and docs are read.")
    first_stage: str | None = Field(
        None, alias="from", description="The first stage that negatives come from."
    )
    file: AttributedFileSpec | None = Field(None, description="In place of `over` and `from`.")
    rankers: tuple[str, ...] | None = Field(
        None, description="All of `explain.rankers`, if left out."
    )
    baseline: Names = Field(
        (), description="The rankers that all are compared with; the first, if left out."
    )
    method: Literal["sound", "as_published"] = Field(
        "sound", description="sound, or study A's target and sums, with warnings."
    )
    path: Literal["activations", "weights"] = Field(
        "activations", description="What is scaled from 0, of the sound method."
    )
    nodes: Count = Field(8, le=1000, description="Gauss-Legendre nodes of the sound method.")
    examples: Annotated[Count, Field(ge=2, le=1_000_000)] = Field(
        50, description="Queries, each with one relevant doc and one hard negative."
    )
    depth: Count = Field(100, description="Ranks that negatives are drawn from.")
    skip_top: Whole = Field(
        0, description="Ranks left out at the top, where unjudged positives are."
    )
    min_relevance: Count = Field(1, description="The lowest grade that makes a positive.")
    threshold: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None,
        description="A neuron is active above this share of the example's largest value; 0.1, if left out (as "
        "published 0.01 for LLaMA, Mistral and Qwen).",
    )
    margin: Number = Field(
        0.02,
        gt=0,
        description="The difference in Gini coefficients below which matrices are equivalent.",
    )
    ablate: bool = Field(True, description="Whether neurons are switched off, as a check.")
    memory: Annotated[Number, Field(gt=0)] = Field(
        2.0, description="Gigabytes for gradients.", json_schema_extra=FREE
    )

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _texts_come_from_one_place(self) -> Self:
        asked = (self.over, self.first_stage)
        if (self.file is None) != all(asked) or any(asked) != all(asked):
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
        found = [f"`{name}`" for name in names if name in self.model_fields_set]
        if found:
            raise ValueError(f"{', '.join(found)}: these {why}")


class ExplainSpec(Spec):
    """What is asked of the insides of rankers."""

    rankers: tuple[str, ...] | None = Field(
        None, description="All bi-encoders of `rankers`, if left out."
    )
    probes: dict[Name, ProbesSpec] = Field(
        default_factory=dict,
        description="Probes of every layer, by the name of what they are over.",
    )
    attribution: dict[Name, AttributionSpec] = Field(
        default_factory=dict,
        description="Attribution of feed-forward neurons, by the name of what it is over.",
    )
    changes: dict[Name, ChangesSpec] = Field(
        default_factory=dict,
        description="What moved between two rankers, by the name of what it is looked at over.",
    )
    forgetting: ForgettingSpec | None = Field(
        None, description="Rankers x collections: what each stage gained and lost, with verdicts."
    )
