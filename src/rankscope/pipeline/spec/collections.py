"""The specs of collections in a study file."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rankscope.data.conventions import Convention, convention
from rankscope.data.noise import NoiseKind
from rankscope.data.public import places
from rankscope.data.world.knowing import wrong_settings
from rankscope.pipeline.spec.fields import BY_PLAN, Count, Seed, Share, Spec, Whole, as_value_error

# -- collections ---------------------------------------------------------------------------------


class TopicsSpec(Spec):
    """The choice of judged queries of a collection."""

    part: tuple[Share, Share] = Field(
        (0.0, 1.0),
        description="An interval of the judged queries in an order shuffled by the seed: "
        "[0, 0.9] and [0.9, 1] never share a query.",
    )
    queries: Count | None = Field(None, description="At most so many queries of the part.")
    noise: tuple[NoiseKind, ...] = Field(
        (),
        description="Every query gets one of these kinds of noise, to measure the loss of a ranker (Zhuang & Zuccon 2021).",
    )
    relevance_level: Count | None = Field(
        None,
        description="The lowest grade that counts as relevant in binary measures whose names do not "
        "say; 2 for TREC's passage tracks by their ids, else 1.",
        json_schema_extra=BY_PLAN,
    )
    drop_own_docs: bool | None = Field(
        None,
        description="Leave docs that have their query's id out of rankings; true for ArguAna and Quora by "
        "their ids (BEIR: Thakur et al. 2021), else false.",
        json_schema_extra=BY_PLAN,
    )

    @model_validator(mode="after")
    def _part_rises(self) -> Self:
        if self.part[0] >= self.part[1]:
            raise ValueError("`part` must rise, as in [0, 0.9]")
        return self

    @property
    def is_drawn(self) -> bool:
        """Whether the queries depend on a seed."""
        return self.part != (0.0, 1.0) or self.queries is not None or bool(self.noise)

    def convention(self) -> Convention:
        """The convention by which runs over it are measured: the field's, where the study gives none."""
        usual = convention(getattr(self, "id", None))
        level, drop = self.relevance_level, self.drop_own_docs
        return Convention(
            usual.relevance_level if level is None else level,
            usual.drop_own_docs if drop is None else drop,
        )


class BeirSpec(TopicsSpec):
    """A folder in BEIR layout."""

    kind: Literal["beir"] = Field(json_schema_extra=BY_PLAN)
    path: str = Field(
        description="The folder; relative to the study file. ${NAME:-default} works.",
        json_schema_extra=BY_PLAN,
    )
    split: str = Field("test", description="Name of a file in qrels/.", json_schema_extra=BY_PLAN)


class FilesSpec(TopicsSpec):
    """Files of docs, queries and qrels, wherever they are."""

    kind: Literal["files"] = Field(json_schema_extra=BY_PLAN)
    docs: str = Field(
        description="JSON lines, TSV or Parquet; packed (gzip, bzip2, xz) or not.",
        json_schema_extra=BY_PLAN,
    )
    queries_file: str = Field(description="In the same forms.", json_schema_extra=BY_PLAN)
    qrels: str = Field(
        description="TREC's four columns, or BEIR's three with a header.",
        json_schema_extra=BY_PLAN,
    )

    @model_validator(mode="before")
    @classmethod
    def _queries_are_a_number(cls, value: Any) -> Any:
        """Raise for a file under `queries`, where people look for it."""
        queries = value.get("queries") if isinstance(value, dict) else None
        if isinstance(queries, str) and not queries.strip().isdecimal():
            raise ValueError(
                "`queries` is how many queries are taken; their file stands in `queries_file`"
            )
        return value


class IrDatasetsSpec(TopicsSpec):
    """A collection by its ir_datasets id."""

    kind: Literal["ir_datasets"] = Field(json_schema_extra=BY_PLAN)
    id: str = Field(
        description="Such as msmarco-passage/trec-dl-2019/judged.", json_schema_extra=BY_PLAN
    )


def _known(name: str) -> str:
    with as_value_error():
        places.known(name)
    return name


class PublicSpec(TopicsSpec):
    """A public collection that `rankscope data fetch` puts into the cache."""

    kind: Literal["public"] = Field(json_schema_extra=BY_PLAN)
    id: Annotated[str, AfterValidator(_known)] = Field(
        description="A name that `rankscope data` lists.", json_schema_extra=BY_PLAN
    )
    split: str = Field("test", description="Name of a file in qrels/.", json_schema_extra=BY_PLAN)


Groups = tuple[Whole, ...]
PEOPLE = Field(80, description="Its people; six facts each.", json_schema_extra=BY_PLAN)
GROUPS = Field(
    5,
    description="Groups that its facts are in, numbered from 0, to be left out in rotation.",
    json_schema_extra=BY_PLAN,
)
WORLD_SEED = Field(1, description="Seed of the world.", json_schema_extra=BY_PLAN)


class WorldSpec(TopicsSpec):
    """A text of a made-up world for questions of what pre-training knows; nothing is read or downloaded."""

    kind: Literal["world"] = Field(json_schema_extra=BY_PLAN)
    text: Literal["pretraining", "aliases", "worded"] = Field(
        description="The text to pre-train on; docs that name the object by an alias, which pre-training alone links to "
        "it; or docs that state the fact in words.",
        json_schema_extra=BY_PLAN,
    )
    seed: Seed = WORLD_SEED
    people: Count = PEOPLE
    groups: Count = GROUPS
    untold: Groups = Field(
        (),
        description="Groups of facts that `text: pretraining` never states (the question of Reichman & Heck 2024).",
        json_schema_extra=BY_PLAN,
    )
    asked: Groups | None = Field(
        None,
        description="Groups of facts whose questions are the queries; all, if left out (Reichman & Heck 2024).",
        json_schema_extra=BY_PLAN,
    )
    shown: Groups | None = Field(
        None,
        description="Groups of facts whose docs are there; all, if left out. What a training is not shown it cannot "
        "learn (Reichman & Heck 2024).",
        json_schema_extra=BY_PLAN,
    )

    @model_validator(mode="after")
    def _it_can_be_made(self) -> Self:
        if wrong := wrong_settings(self.people, self.groups):
            raise ValueError(wrong)
        for name in ("untold", "asked", "shown"):
            there_is_no = [group for group in getattr(self, name) or () if group >= self.groups]
            if there_is_no:
                raise ValueError(
                    f"`{name}` names the group {there_is_no[0]}; there are {self.groups}, from 0"
                )
        if self.text == "pretraining" and not (self.asked is None and self.shown is None):
            raise ValueError("`asked` and `shown` go with the other texts: nothing is asked of it")
        if self.text != "pretraining" and self.untold:
            raise ValueError("`untold` goes with `text: pretraining`")
        return self

    @model_validator(mode="after")
    def _what_is_asked_is_shown(self) -> Self:
        if self.shown is not None:
            asked = range(self.groups) if self.asked is None else self.asked
            hidden = [group for group in asked if group not in self.shown]
            if hidden:
                raise ValueError(
                    f"`asked` has the group {hidden[0]}, whose docs `shown` leaves out; leave it out of both"
                )
        return self


CollectionSpec = Annotated[
    BeirSpec | FilesSpec | IrDatasetsSpec | PublicSpec | WorldSpec, Field(discriminator="kind")
]

# -- facts ---------------------------------------------------------------------------------------


class WorldFactsSpec(Spec):
    """The facts of the made-up world of `kind: world`, and those of its aliases."""

    kind: Literal["world"] = Field(json_schema_extra=BY_PLAN)
    seed: Seed = WORLD_SEED
    people: Count = PEOPLE
    groups: Count = GROUPS

    @model_validator(mode="after")
    def _it_can_be_made(self) -> Self:
        if wrong := wrong_settings(self.people, self.groups):
            raise ValueError(wrong)
        return self


class FactFilesSpec(Spec):
    """Facts from facts.jsonl, with relations.json beside it, as LAMA and PARAREL have them."""

    kind: Literal["files"] = Field(json_schema_extra=BY_PLAN)
    path: str = Field(
        description="The file facts.jsonl, or the folder that it is in.", json_schema_extra=BY_PLAN
    )


FactsSpec = Annotated[WorldFactsSpec | FactFilesSpec, Field(discriminator="kind")]

# -- first stages and teachers -------------------------------------------------------------------
