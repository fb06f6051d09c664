"""The fields of a study file that probe the layers of rankers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from rankscope.analyses.fields import FileKind, Names
from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Number, Spec, Whole, read_by

PROBE_DEFAULTS = (2, 3, 4, 5)


class RunExamplesSpec(Spec):
    """A collection's queries, each with a relevant doc and hard negatives from a first stage's run."""

    kind: Literal["collection"] = "collection"
    over: str = Field(
        description="The collection that probes are tested on.", json_schema_extra=BY_PLAN
    )
    train: str = Field(
        description="The collection whose queries probes are trained on, over the same docs.",
        json_schema_extra=BY_PLAN,
    )
    first_stage: str = Field(
        alias="from",
        description="A first stage in which none of the probed rankers takes part.",
        json_schema_extra=BY_PLAN,
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

    model_config = ConfigDict(populate_by_name=True)


class FileExamplesSpec(Spec):
    """Files whose queries bring their own relevant docs and hard negatives, as study A's data do."""

    kind: FileKind = Field(
        description="DPR's JSON; MS MARCO v1.1 with `is_selected`; or rows already drawn."
    )
    train: str = Field(
        description="JSON lines, one JSON list or Parquet.", json_schema_extra=BY_PLAN
    )
    test: str = Field(description="Another file of the same kind.", json_schema_extra=BY_PLAN)


def _kind_of_examples(value: Any) -> str:
    """A collection's examples need not say their kind."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return "collection" if kind in (None, "collection") else "files"


ExamplesSpec = Annotated[
    Annotated[RunExamplesSpec, Tag("collection")] | Annotated[FileExamplesSpec, Tag("files")],
    Discriminator(_kind_of_examples),
]


class PublishedCurvesSpec(Spec):
    """A paper's accuracies by layer, drawn beside the study's own."""

    path: str = Field(
        description="CSV with dataset, encoder, model, num_passages, layer, accuracy.",
        json_schema_extra=BY_PLAN,
    )
    dataset: str = Field(description="Which of its datasets.")
    curves: dict[str, str] = Field(
        description="Ranker of this study -> `encoder/model` of the file, as `cls/dpr-question`."
    )


class ProbesSpec(Spec):
    """What a probe reads of relevance in every layer of the bi-encoders."""

    examples: ExamplesSpec = Field(json_schema_extra=BY_PLAN)
    rankers: tuple[str, ...] | None = Field(
        None, description="All of `explain.rankers`, if left out.", json_schema_extra=BY_PLAN
    )
    candidates: tuple[Annotated[Count, Field(ge=2, le=1000)], ...] = Field(
        PROBE_DEFAULTS,
        min_length=1,
        max_length=100,
        description="The numbers of docs from which a probe chooses the relevant one.",
    )
    method: Literal["sound", "as_published"] = Field(
        "sound", description="sound, or study A's linear probe and test, with warnings."
    )
    fits: Count = Field(3, le=1000, description="Fits of every probe, each with a seed of its own.")
    rank: Count = Field(32, le=65_536, description="The rank of the bilinear probe.")
    also: tuple[Literal["mlp"], ...] = Field(
        (),
        description="Further probes, each with its control: mlp, a small network, as an upper bound.",
    )
    margin: Number = Field(
        DEFAULT_MARGIN,
        gt=0,
        description="The difference in accuracy below which layers are equivalent.",
        json_schema_extra=read_by("conclude"),
    )
    baseline: Names = Field(
        (),
        description="The rankers that all are compared with, layer by layer; the first, if left out.",
        json_schema_extra=BY_PLAN,
    )
    pooling: Literal["cls", "mean", "last"] | None = Field(
        None,
        description="How a text's state is pooled from its tokens; as the ranker pools, if left out.",
        json_schema_extra=BY_PLAN,
    )
    dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="The type of the stored states; float16 takes half the space, for models as wide as study A's decoders.",
        json_schema_extra=BY_PLAN,
    )
    at_random: bool = Field(
        True,
        description="Whether the first ranker's architecture with random weights is probed too.",
        json_schema_extra=BY_PLAN,
    )
    published: PublishedCurvesSpec | None = Field(
        None,
        description="Reported curves that are drawn beside these, such as those of study A's figures.",
        json_schema_extra=read_by("conclude"),
    )

    @property
    def is_published(self) -> bool:
        """Whether the method is study A's."""
        return self.method == "as_published"

    @property
    def ns(self) -> tuple[int, ...]:
        """The distinct numbers of candidates, in ascending order."""
        return tuple(sorted(set(self.candidates)))

    @model_validator(mode="after")
    def _enough_to_choose_from(self) -> Self:
        examples = self.examples
        if (
            isinstance(examples, RunExamplesSpec)
            and examples.depth - examples.skip_top < max(self.candidates) - 1
        ):
            raise ValueError(
                "`examples.depth` and `skip_top` leave too few ranks for so many `candidates`"
            )
        if self.method == "as_published" and self.also:
            raise ValueError("`also` goes with `method: sound`")
        return self
