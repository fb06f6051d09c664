"""What a study file says of collections, first stages and teachers."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rankscope.data.answers import Malformed
from rankscope.data.conventions import Convention, convention
from rankscope.data.noise import NoiseKind
from rankscope.retrieve.analyzer import ENGLISH
from rankscope.study.spec_fields import Count, Positive, Share, Spec, known_language

# -- collections ---------------------------------------------------------------------------------


class TopicsSpec(Spec):
    """Which judged queries of a collection are used."""

    part: tuple[Share, Share] = Field(
        (0.0, 1.0),
        description="An interval of the judged queries in an order shuffled by the seed: "
        "[0, 0.9] and [0.9, 1] never share a query.",
    )
    queries: Count | None = Field(None, description="At most so many queries of the part.")
    noise: tuple[NoiseKind, ...] = Field(
        (), description="One of them is put into every query, to measure what it costs a ranker."
    )
    relevance_level: Count | None = Field(
        None,
        description="The lowest grade that counts as relevant in binary measures whose names do not "
        "say; 2 for TREC's passage tracks by their ids, else 1.",
    )
    drop_own_docs: bool | None = Field(
        None,
        description="Leave docs that have their query's id out of rankings; true for ArguAna and Quora by "
        "their ids, else false.",
    )

    @model_validator(mode="after")
    def _part_rises(self) -> Self:
        if self.part[0] >= self.part[1]:
            raise ValueError("`part` must rise, as in [0, 0.9]")
        return self

    @property
    def is_drawn(self) -> bool:
        """Whether a seed decides what the queries are."""
        return self.part != (0.0, 1.0) or self.queries is not None or bool(self.noise)

    def convention(self) -> Convention:
        """How runs over it are measured: as the field does, or as the study says."""
        usual = convention(getattr(self, "id", None))
        level, drop = self.relevance_level, self.drop_own_docs
        return Convention(
            usual.relevance_level if level is None else level,
            usual.drop_own_docs if drop is None else drop,
        )


class BeirSpec(TopicsSpec):
    """A folder in BEIR layout."""

    kind: Literal["beir"]
    path: str = Field(description="The folder; relative to the study file. ${NAME:-default} works.")
    split: str = Field("test", description="Which file of qrels/.")


class FilesSpec(TopicsSpec):
    """Files of docs, queries and qrels, wherever they are."""

    kind: Literal["files"]
    docs: str = Field(description="JSON lines, TSV or Parquet; packed (gzip, bzip2, xz) or not.")
    queries_file: str = Field(description="The same.")
    qrels: str = Field(description="TREC's four columns, or BEIR's three with a header.")


class IrDatasetsSpec(TopicsSpec):
    """A collection by its ir_datasets id."""

    kind: Literal["ir_datasets"]
    id: str = Field(description="Such as msmarco-passage/trec-dl-2019/judged.")


CollectionSpec = Annotated[BeirSpec | FilesSpec | IrDatasetsSpec, Field(discriminator="kind")]

# -- first stages and teachers -------------------------------------------------------------------


class BM25Spec(Spec):
    """Lexical first stage."""

    kind: Literal["bm25"]
    k1: Positive = Field(0.9, description="Saturation of term frequency.")
    b: Share = Field(0.4, description="Normalisation by doc length.")
    language: Annotated[str, AfterValidator(known_language)] = Field(
        ENGLISH,
        description="Of docs and queries. english: stop words, possessives and Porter's stemmer; one that "
        "PyStemmer has a stemmer for, such as hindi: that stemmer and no stop words; none: words in lower "
        "case.",
    )
    depth: Count = Field(1000, description="Docs kept for each query.")


class RunFilesSpec(Spec):
    """A first stage of one's own: one run file for each collection."""

    kind: Literal["run_files"]
    paths: dict[str, str] = Field(description="Collection name -> run file in TREC format.")
    depth: Count = Field(1000, description="Docs kept for each query.")


class DenseSpec(Spec):
    """A bi-encoder's nearest docs among all of a collection's."""

    kind: Literal["dense"]
    ranker: str = Field(description="The bi-encoder; one of `rankers`, tuned or not.")
    index: Literal["exact", "flat", "ivf", "hnsw"] = Field(
        "exact",
        description="exact compares with every doc; the others are faiss's (`rankscope[ann]`): ivf and "
        "hnsw are faster on millions of docs and miss some, and the step says how many.",
    )
    depth: Count = Field(1000, description="Docs kept for each query.")


class LateSpec(Spec):
    """A ColBERT's best docs among all of a collection's: exact and slow, for small collections."""

    kind: Literal["late_interaction"]
    ranker: str = Field(description="The ranker, one of `kind: late_interaction`.")
    depth: Count = Field(1000, description="Docs kept for each query.")


class FuseSpec(Spec):
    """Several first stages' runs as one."""

    kind: Literal["fuse"]
    of: tuple[str, ...] = Field(min_length=2, description="The first stages.")
    method: Literal["reciprocal_rank", "scores"] = Field(
        "reciprocal_rank",
        description="reciprocal_rank: the sum of 1 / (k + rank); scores: the mean of each run's scores, "
        "brought to 0..1 for each query.",
    )
    k: Count = Field(60, description="Of reciprocal_rank (Cormack et al. 2009).")
    depth: Count = Field(1000, description="Docs kept for each query.")

    @model_validator(mode="after")
    def _nothing_that_counts_for_nothing(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("`of` names a first stage twice")
        if self.method == "scores" and self.k != 60:
            raise ValueError("`k` goes with `method: reciprocal_rank`")
        return self


FirstStageSpec = Annotated[
    BM25Spec | DenseSpec | LateSpec | FuseSpec | RunFilesSpec, Field(discriminator="kind")
]


class PermutationsTeacherSpec(Spec):
    """A teacher that is an LLM: its answers, `[5] > [18] > ...`, about docs it was shown."""

    kind: Literal["permutations"]
    path: str = Field(
        description="The answers: RankGPT's JSON list, or JSON lines of `query_id`, `response` and "
        "maybe `window`."
    )
    candidates: str = Field(
        description="The docs it was shown, in their order: a run, or RankGPT's JSON lines."
    )
    malformed: Malformed = Field(
        "repair",
        description="An answer that is no order of the docs shown: mend it; mend it as RankGPT's program does, "
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
    path: str = Field(description="A run in any form over the training queries.")
    candidates: str | None = Field(
        None, description="A run of the docs it was shown, in their order; only for its report."
    )
    depth: Count = Field(20, description="Docs taken from each ranking.")


class ListsTeacherSpec(Spec):
    """A teacher out of a training file: docs with scores, or positives and negatives."""

    kind: Literal["kd", "flag_embedding", "tevatron", "dpr"]
    path: str = Field(description="JSON lines, one JSON list or Parquet.")
    candidates: str | None = Field(
        None, description="A run of the docs it was shown, in their order; only for its report."
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
