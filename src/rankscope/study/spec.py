"""What may stand in a study file: frozen models, the one home of defaults.

Names in a study refer to one another (a ranker starts from a ranker, samples are labelled by a
teacher, a run comes from a first stage); `Study` checks that every name leads somewhere.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
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

from rankscope.core.errors import BadStudy, UnknownChoice, choose
from rankscope.data.conventions import Convention, convention
from rankscope.evaluate.measures import computable, parse

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
FREE: dict[str, Any] = {"changes_results": False}


Percentage = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*%$")]

LOSS_NAMES = (
    "localized_contrastive",
    "info_nce",
    "ranknet",
    "weighted_ranknet",
    "student_weighted_ranknet",
    "lambdarank",
    "listnet",
    "listmle",
    "margin_mse",
    "kl",
    "adr_mse",
    "pointwise_binary_cross_entropy",
)
"""The names of `train.losses.LOSSES`, which needs torch; a test holds the two together."""

CORRECTION_NAMES = ("holm", "benjamini_hochberg", "bonferroni", "none")
"""The names of `evaluate.verdicts.CORRECTIONS`, which needs statsmodels; a test holds them together."""


@contextmanager
def as_value_error() -> Iterator[None]:
    """Inside the block, an unknown choice becomes what pydantic gives a place to."""
    try:
        yield
    except UnknownChoice as error:
        raise ValueError(str(error)) from error


def known_measure(name: str) -> str:
    """The name, if ir_measures knows it."""
    with as_value_error():
        computable(name)
    return name


def known_loss(name: str) -> str:
    """The name, if there is such a loss."""
    with as_value_error():
        choose(dict.fromkeys(LOSS_NAMES), name, what="loss")
    return name


def known_correction(name: str) -> str:
    """The name, if there is such a correction."""
    with as_value_error():
        choose(dict.fromkeys(CORRECTION_NAMES), name, what="correction")
    return name


class Spec(BaseModel):
    """A part of a study file: frozen, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def identity(self, *leave_out: str) -> dict[str, Any]:
        """The fields that can change a result, as plain values: what a fingerprint is made of."""
        free = {
            name
            for name, field in type(self).model_fields.items()
            if isinstance(field.json_schema_extra, dict)
            and field.json_schema_extra.get("changes_results") is False
        }
        return self.model_dump(mode="json", exclude=free | set(leave_out))


# -- collections ---------------------------------------------------------------------------------


class TopicsSpec(Spec):
    """Which judged queries of a collection are used."""

    part: tuple[Share, Share] = Field(
        (0.0, 1.0),
        description="An interval of the judged queries in an order shuffled by the seed: "
        "[0, 0.9] and [0.9, 1] never share a query.",
    )
    queries: PositiveInt | None = Field(None, description="At most so many queries of the part.")
    relevance_level: PositiveInt | None = Field(
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
    docs: str = Field(description="JSONL or TSV, .gz or not.")
    queries_file: str = Field(description="JSONL or TSV, .gz or not.")
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
    k1: PositiveFloat = Field(0.9, description="Saturation of term frequency.")
    b: Share = Field(0.4, description="Normalisation by doc length.")
    depth: PositiveInt = Field(1000, description="Docs kept for each query.")


class RunFilesSpec(Spec):
    """A first stage of one's own: one run file for each collection."""

    kind: Literal["run_files"]
    paths: dict[str, str] = Field(description="Collection name -> run file in TREC format.")
    depth: PositiveInt = Field(1000, description="Docs kept for each query.")


FirstStageSpec = Annotated[BM25Spec | RunFilesSpec, Field(discriminator="kind")]


class RunTeacherSpec(Spec):
    """A teacher whose rankings of the training queries stand in a run file."""

    kind: Literal["run"]
    path: str = Field(description="A run in TREC format over the training queries.")
    depth: PositiveInt = Field(20, description="Docs taken from each ranking.")


class RankerTeacherSpec(Spec):
    """A teacher that is a ranker of this study."""

    kind: Literal["ranker"]
    ranker: str = Field(description="A ranker of this study.")
    candidates: str = Field(description="The first stage whose docs it orders.")
    depth: PositiveInt = Field(20, description="Docs it orders for each query.")


TeacherSpec = Annotated[RunTeacherSpec | RankerTeacherSpec, Field(discriminator="kind")]

# -- rankers -------------------------------------------------------------------------------------


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
    negatives: NegativesSpec | None = Field(None, description="Needed with `labels: qrels`.")
    group_size: PositiveInt = Field(8, ge=2, description="Docs for each query.")
    missing_positive: Literal["add", "drop"] = Field(
        "add", description="A query none of whose positives was retrieved: add one, or drop it."
    )
    min_relevance: PositiveInt = Field(1, description="The lowest grade that makes a positive.")

    @model_validator(mode="after")
    def _negatives_where_labels_are_qrels(self) -> Self:
        if (self.labels == "qrels") != (self.negatives is not None):
            raise ValueError("`negatives` goes with `labels: qrels`, and with nothing else")
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


Measure = Annotated[str, AfterValidator(known_measure)]


class ValidateSpec(Spec):
    """How a stage is watched: a measure on held-out queries."""

    collection: str = Field("validation", description="The held-out queries.")
    first_stage: str = Field(description="Whose run is re-ranked.", alias="from")
    depth: PositiveInt = Field(20, description="Docs re-ranked for each query.")
    measure: Measure = Field("nDCG@10", description="Any measure of ir_measures.")
    every: PositiveInt = Field(100, description="Updates between two validations.")

    model_config = ConfigDict(populate_by_name=True)


class TrainedSpec(Spec):
    """A ranker made from another by one stage of fine-tuning."""

    kind: Literal["trained"] = "trained"
    start: str = Field(description="The ranker it starts from.")
    samples: SamplesSpec
    loss: Annotated[str, AfterValidator(known_loss)] = Field(
        description=f"One of {', '.join(LOSS_NAMES)}."
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
    freeze_position_embeddings: bool = Field(False, description="As study B does.")
    validate_on: ValidateSpec | None = Field(
        None, description="Held-out queries.", alias="validate"
    )
    keep: Literal["best_validation", "last"] | None = Field(
        None, description="Which weights are the result; best_validation where there is one."
    )
    checkpoint_every: PositiveInt = Field(
        200, description="Updates between checkpoints.", json_schema_extra=FREE
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
        return self

    @property
    def kept(self) -> Literal["best_validation", "last"]:
        """Which weights are the result."""
        return self.keep or ("last" if self.validate_on is None else "best_validation")


def _ranker_kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("kind", "trained" if "start" in value else "missing"))
    return str(getattr(value, "kind", "missing"))


RankerSpec = Annotated[
    Annotated[CrossEncoderSpec, Tag("cross_encoder")]
    | Annotated[BiEncoderSpec, Tag("bi_encoder")]
    | Annotated[TrainedSpec, Tag("trained")],
    Discriminator(
        _ranker_kind,
        custom_error_type="ranker_kind",
        custom_error_message="give `kind: cross_encoder`, `kind: bi_encoder`, or `start: RANKER`",
    ),
]

# -- evaluation and the whole --------------------------------------------------------------------


class RerankSpec(Spec):
    """What is re-ranked for the evaluation."""

    first_stages: tuple[str, ...] = Field(min_length=1, alias="from", description="First stages.")
    depth: PositiveInt = Field(100, description="Docs re-ranked for each query.")

    model_config = ConfigDict(populate_by_name=True)


class EvaluateSpec(Spec):
    """What is measured, and compared with what."""

    over: tuple[str, ...] = Field(min_length=1, description="Test collections.")
    rerank: RerankSpec
    rankers: tuple[str, ...] | None = Field(None, description="All rankers, if left out.")
    measures: tuple[Measure, ...] = Field(
        ("nDCG@10",), min_length=1, description="Names of ir_measures; the first is the headline."
    )
    baseline: tuple[str, ...] = Field(
        (), description="A ranker or first stage, or a list of them; all pairs, if left out."
    )
    margin: dict[str, PositiveFloat | Percentage] = Field(
        default_factory=dict,
        description="Measure -> the difference below which two rankers are equivalent: absolute, or "
        '"5%" of the baseline\'s mean.',
    )
    significance_level: float = Field(0.05, gt=0, lt=0.5, description="Of the whole family.")
    correction: Annotated[str, AfterValidator(known_correction)] = Field(
        "holm", description=f"For the family: {', '.join(CORRECTION_NAMES)}."
    )
    tests: Literal["sound", "as_published"] = Field(
        "sound",
        description="as_published: study B's paired t-tests without correction, with a warning.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_baseline_is_a_list_of_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("baseline"), str):
            return {**value, "baseline": [value["baseline"]]}
        return value

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        for name, values in {
            "over": self.over,
            "rerank.from": self.rerank.first_stages,
            "measures": [repr(parse(measure)) for measure in self.measures],
            "baseline": self.baseline,
            "rankers": self.rankers or (),
        }.items():
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` names one thing twice ({', '.join(values)})")
        return self

    @model_validator(mode="after")
    def _margins_belong_to_measures(self) -> Self:
        for measure in self.margin:
            with as_value_error():
                choose(dict.fromkeys(self.measures), measure, what="measure in `margin`")
        return self


class Reference(NamedTuple):
    """A place of the study that names something, and the table where it must stand."""

    place: str
    name: str
    table: Mapping[str, Any]
    what: str


class Study(Spec):
    """A whole study file."""

    study: Name = Field(description="The name of the study; its results folder is called so.")
    seed: NonNegativeInt = Field(42, description="Of every random draw.")
    collections: dict[Name, CollectionSpec] = Field(min_length=1, description="By name.")
    first_stages: dict[Name, FirstStageSpec] = Field(min_length=1, description="By name.")
    teachers: dict[Name, TeacherSpec] = Field(default_factory=dict, description="By name.")
    rankers: dict[Name, RankerSpec] = Field(min_length=1, description="By name.")
    evaluate: EvaluateSpec

    @model_validator(mode="after")
    def _every_name_leads_somewhere(self) -> Self:
        unknown = []
        for reference in self._references():
            try:
                choose(reference.table, reference.name, what=reference.what)
            except UnknownChoice as error:
                unknown.append(f"{reference.place}: {error}")
        if unknown:
            raise BadStudy(" ".join(unknown))
        clash = sorted(self.rankers.keys() & self.first_stages.keys())
        if clash:
            raise BadStudy(f"rankers.{clash[0]}: a first stage has this name too. Rename one.")
        for name in self.rankers:
            first = self.lineage(name)[0]
            self._teachers_of(name, ())
            if len(self.lineage(name)) > 1 and not isinstance(
                self.rankers[first], CrossEncoderSpec
            ):
                raise BadStudy(
                    f"rankers.{name}: it starts from {first}, a {self.rankers[first].kind}; only a "
                    "cross_encoder can be trained. Start from one."
                )
        return self

    def lineage(self, name: str) -> list[str]:
        """The rankers from the first ancestor to `name`; BadStudy where they run in a circle."""
        path = [name]
        while isinstance(spec := self.rankers[path[0]], TrainedSpec):
            if spec.start in path:
                circle = " -> ".join([spec.start, *path])
                raise BadStudy(
                    f"rankers.{name}: it starts from itself ({circle}). Break the circle."
                )
            path.insert(0, spec.start)
        return path

    def learnt_from(self, name: str) -> list[str]:
        """The collections whose queries a ranker, its ancestors or their teachers were trained on."""
        found: dict[str, None] = {}
        for ancestor in self.lineage(name):
            spec = self.rankers[ancestor]
            if isinstance(spec, TrainedSpec):
                found[spec.samples.collection] = None
                teacher = self.teachers.get(spec.samples.labels)
                if isinstance(teacher, RankerTeacherSpec):
                    found |= dict.fromkeys(self.learnt_from(teacher.ranker))
        return list(found)

    def _teachers_of(self, name: str, students: tuple[str, ...]) -> None:
        """BadStudy where a ranker is taught, at whatever remove, by one that it teaches itself."""
        if name in students:
            circle = " -> ".join([*students, name])
            raise BadStudy(
                f"rankers.{name}: its teacher learns from it ({circle}). Break the circle."
            )
        for ancestor in self.lineage(name):
            spec = self.rankers[ancestor]
            teacher = (
                self.teachers.get(spec.samples.labels) if isinstance(spec, TrainedSpec) else None
            )
            if isinstance(teacher, RankerTeacherSpec):
                self._teachers_of(teacher.ranker, (*students, name))

    @model_validator(mode="after")
    def _baselines_are_evaluated(self) -> Self:
        systems = {*self.evaluated_rankers(), *self.evaluate.rerank.first_stages}
        for name in self.evaluate.baseline:
            if name not in systems:
                raise BadStudy(
                    f"evaluate.baseline: {name} is not evaluated. Add it, or drop it here."
                )
        return self

    @model_validator(mode="after")
    def _no_depth_below_what_was_ranked(self) -> Self:
        for place, first_stage, depth in self._depths():
            ranked = self.first_stages[first_stage].depth
            if depth > ranked:
                raise BadStudy(
                    f"{place}: {depth} docs are asked for, but {first_stage} ranks {ranked}. "
                    f"Lower it, or raise first_stages.{first_stage}.depth."
                )
        return self

    @model_validator(mode="after")
    def _no_group_larger_than_a_teachers_list(self) -> Self:
        for key, spec in self.rankers.items():
            if isinstance(spec, TrainedSpec) and spec.samples.labels in self.teachers:
                labels, group_size = spec.samples.labels, spec.samples.group_size
                depth = self.teachers[labels].depth
                if group_size > depth:
                    raise BadStudy(
                        f"rankers.{key}.samples.group_size: {group_size} docs are asked for, but "
                        f"{labels} ranks {depth}. Lower it, or raise teachers.{labels}.depth."
                    )
        return self

    def _depths(self) -> Iterator[tuple[str, str, int]]:
        """Every depth to which a first stage's run is read: (place, first stage, depth)."""
        for key, teacher in self.teachers.items():
            if isinstance(teacher, RankerTeacherSpec):
                yield f"teachers.{key}.depth", teacher.candidates, teacher.depth
        for key, spec in self.rankers.items():
            if isinstance(spec, TrainedSpec) and spec.samples.negatives:
                negatives = spec.samples.negatives
                place = f"rankers.{key}.samples.negatives.depth"
                yield place, negatives.first_stage, negatives.depth
            if isinstance(spec, TrainedSpec) and spec.validate_on:
                watched = spec.validate_on
                yield f"rankers.{key}.validate.depth", watched.first_stage, watched.depth
        for name in self.evaluate.rerank.first_stages:
            yield "evaluate.rerank.depth", name, self.evaluate.rerank.depth

    def evaluated_rankers(self) -> tuple[str, ...]:
        """The rankers that are evaluated, in the study's order."""
        return self.evaluate.rankers or tuple(self.rankers)

    def _references(self) -> Iterator[Reference]:
        """Every place that names something."""
        for key, teacher in self.teachers.items():
            if isinstance(teacher, RankerTeacherSpec):
                place = f"teachers.{key}"
                yield Reference(f"{place}.ranker", teacher.ranker, self.rankers, "ranker")
                yield self._first_stage(f"{place}.candidates", teacher.candidates)
        for key, ranker in self.rankers.items():
            if isinstance(ranker, TrainedSpec):
                yield from self._references_of_stage(f"rankers.{key}", ranker)
            elif isinstance(ranker, CrossEncoderSpec) and isinstance(ranker.backbone, ScratchSpec):
                source = ranker.backbone.collection
                yield self._collection(f"rankers.{key}.backbone.collection", source)
        asked, systems = self.evaluate, {**self.rankers, **self.first_stages}
        for name in asked.over:
            yield self._collection("evaluate.over", name)
        for name in asked.rerank.first_stages:
            yield self._first_stage("evaluate.rerank.from", name)
        for name in asked.rankers or ():
            yield Reference("evaluate.rankers", name, self.rankers, "ranker")
        for name in asked.baseline:
            yield Reference("evaluate.baseline", name, systems, "ranker or first stage")

    def _references_of_stage(self, place: str, spec: TrainedSpec) -> Iterator[Reference]:
        samples, watched = spec.samples, spec.validate_on
        labels = {**self.teachers, "qrels": None}
        yield Reference(f"{place}.start", spec.start, self.rankers, "ranker")
        yield self._collection(f"{place}.samples.collection", samples.collection)
        yield Reference(f"{place}.samples.labels", samples.labels, labels, "teacher")
        if samples.negatives:
            source = samples.negatives.first_stage
            yield self._first_stage(f"{place}.samples.negatives.from", source)
        if watched:
            yield self._collection(f"{place}.validate.collection", watched.collection)
            yield self._first_stage(f"{place}.validate.from", watched.first_stage)

    def _collection(self, place: str, name: str) -> Reference:
        return Reference(place, name, self.collections, "collection")

    def _first_stage(self, place: str, name: str) -> Reference:
        return Reference(place, name, self.first_stages, "first stage")
