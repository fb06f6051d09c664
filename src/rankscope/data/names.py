"""Queries and docs of a file, looked up in a collection: by id where the file gives one, else by their words.

Some training files (FlagEmbedding, DPR) hold texts and no ids. Two texts are the same if their words are: case and
white space do not count. What the collection does not have is left out and counted by the reader.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, final

from rankscope.core.errors import BadInput
from rankscope.core.records import Doc, Query
from rankscope.core.words import of_number, words

N_COMPARED = 1000
"""Docs named by id *and* text whose texts are compared with those of the collection, at most."""


class Named(NamedTuple):
    """What a file calls a query or doc: an id, one or several forms of its text, or both."""

    name: str | None
    texts: tuple[bytes, ...] = ()


def named(name: str | None, *texts: str | None) -> Named:
    """A name from an id and forms of the text; of a text only a digest of its words is kept."""
    return Named(name, tuple(digest(text) for text in texts if text))


def digest(text: str) -> bytes:
    """16 bytes that stand for the words of a text."""
    return hashlib.blake2b(words(text).encode(errors="surrogatepass"), digest_size=16).digest()


class IdLookup(Protocol):
    """Looks up the ids of queries and docs that a file names by id or text."""

    def query_id(self, query: Named, place: str) -> str | None:
        """The id of the query; None for an unknown one."""
        ...

    def doc_ids(self, docs: Iterable[Named]) -> Mapping[Named, str]:
        """The ids of the docs; unknown ones are left out."""
        ...


@final
class AsGiven:
    """Ids as the file gives them, where no collection is at hand; BadInput for a text without an id."""

    def query_id(self, query: Named, place: str) -> str | None:
        """The id in the file."""
        return _given(query, "query", place)

    def doc_ids(self, docs: Iterable[Named]) -> Mapping[Named, str]:
        """The ids in the file."""
        return {doc: _given(doc, "doc", "The file") for doc in docs}


def _given(thing: Named, what: str, place: str) -> str:
    if thing.name is None:
        raise BadInput(
            f"{place}: a {what} is named by its text alone, and no collection is at hand to look it up in. "
            "Give the collection too."
        )
    return thing.name


class Docs(Protocol):
    """Docs that can be looked up by id and iterated over."""

    def __contains__(self, doc_id: object) -> bool:
        """Whether there is such a doc."""
        ...

    def __iter__(self) -> Iterator[Doc]:
        """All docs."""
        ...

    def text(self, doc_id: str) -> str:
        """The text of one doc."""
        ...


@final
class InCollection:
    """Ids of a collection: looked up by id, then by the words of the text."""

    def __init__(self, queries: Sequence[Query], docs: Docs) -> None:
        self._queries = {query.query_id for query in queries}
        self._query_texts = {digest(query.text): query.query_id for query in reversed(queries)}
        self._docs = docs

    def query_id(self, query: Named, place: str) -> str | None:  # noqa: ARG002 -- of the protocol
        """The query of that id, else of those words."""
        if query.name in self._queries:
            return query.name
        ids = (self._query_texts.get(text) for text in query.texts)
        return next((query_id for query_id in ids if query_id), None)

    def doc_ids(self, docs: Iterable[Named]) -> Mapping[Named, str]:
        """The docs of those ids, else the first of those words (docs of the same words are alike)."""
        wanted = list(dict.fromkeys(docs))
        ids = {doc: doc.name for doc in wanted if doc.name is not None and doc.name in self._docs}
        self._same_texts(ids)
        wanted_texts = {text for doc in wanted if doc not in ids for text in doc.texts}
        if wanted_texts:
            by_text: dict[bytes, str] = {}
            for stored in self._docs:
                if (key := digest(stored.text)) in wanted_texts:
                    by_text.setdefault(key, stored.doc_id)
            for doc in wanted:
                if doc not in ids and (known := [t for t in doc.texts if t in by_text]):
                    ids[doc] = by_text[known[0]]
        return ids

    def _same_texts(self, ids: Mapping[Named, str]) -> None:
        """BadInput where ids agree but most texts do not: ids are numbers in more than one collection."""
        both = [doc for doc in ids if doc.texts][:N_COMPARED]
        other = [doc for doc in both if digest(self._docs.text(ids[doc])) not in doc.texts]
        if 2 * len(other) > len(both):
            raise BadInput(
                f"The docs' ids are in the collection, but {len(other)} of the {len(both)} compared {of_number(len(other), 'has', 'have')} "
                f"other texts there (first: {other[0].name}). Give the collection that the file was made from."
            )
