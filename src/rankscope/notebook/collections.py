"""Collections for a notebook: docs, queries and judgements under one name."""

from collections.abc import Mapping
from functools import cached_property
from os import PathLike, fspath
from typing import Any, final

from rankscope.core.errors import BadInput
from rankscope.core.fields import given_path
from rankscope.core.input_files import home_filled_in
from rankscope.core.records import Qrel
from rankscope.data import collections
from rankscope.data.collections import Source
from rankscope.data.conventions import Convention
from rankscope.data.public import places
from rankscope.verbs.judgements import Judgements, judged


@final
class OpenedCollection:
    """A collection's docs, queries and judgements; docs are read when somebody asks for them, one at a time."""

    def __init__(self, name: str, split: str) -> None:
        self.name, self.split = name, split
        self.source: Source = collections.source(name, split, option="split")

    @cached_property
    def queries(self) -> Mapping[str, str]:
        """query_id to text, of the judged queries."""
        topics = collections.judged_topics(self.source)
        return {query.query_id: query.text for query in topics.queries}

    @cached_property
    def qrels(self) -> list[Qrel]:
        """The judgements."""
        return self.source.qrels()

    @cached_property
    def docs(self) -> Mapping[str, str]:
        """doc_id to text, of all docs; in memory from the first time on."""
        return {doc.doc_id: doc.text for doc in self.source.docs()}

    @property
    def convention(self) -> Convention:
        """How runs over it are measured."""
        return self.judgements().convention

    @property
    def spec(self) -> dict[str, Any]:
        """What a study file says of it."""
        if places.named_in(self.name) is not None:
            return {"kind": "beir", "path": self.name, "split": self.split}
        folder = home_filled_in(self.name)
        if folder.is_dir():
            return {"kind": "beir", "path": str(folder.resolve()), "split": self.split}
        return {"kind": "ir_datasets", "id": self.name}

    def judgements(self) -> Judgements:
        """Its judgements with their convention and the source of its texts."""
        return judged(self.name, self.split)

    def __repr__(self) -> str:
        n_judged = len({qrel.query_id for qrel in self.qrels})
        return f"Collection {self.judgements().name}: {n_judged} judged queries, {len(self.qrels)} judgements"


def collection(name: str | PathLike[str], *, split: str = "test") -> OpenedCollection:
    """A collection by its folder in BEIR layout, `public:NAME` (fetched by `rankscope data fetch`) or ir_datasets id; `split` is the name of a folder's qrels.

    Raises BadInput for a folder without such a split.

    >>> rs.collection("world", split="test")  # doctest: +ELLIPSIS
    Collection world/test: 200 judged queries, ... judgements
    """
    return OpenedCollection(given_path(name, "collection"), given_path(split, "split"))


def opened_collection(given: OpenedCollection, what: str = "collection") -> OpenedCollection:
    """The collection; BadInput for a name or path in its place."""
    if isinstance(given, OpenedCollection):
        return given
    if isinstance(given, str | PathLike):
        name = written = repr(fspath(given))
    else:
        name, written = type(given).__name__, '"folder"'
    raise BadInput(f"The {what} is {name}, which is not opened. Give rs.collection({written}).")
