"""Relevance and duplicates by words, whatever the ids.

A collection may hold one query or one doc under two ids. If only ids are compared, the positive of a query is a
negative of the query's duplicate, and a doc is a negative of itself: no training can lower such a loss.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import final

from rankscope.core.words import words
from rankscope.data.collections import Topics

Key = Callable[[str], Hashable]
"""A doc's id to what is equal for docs of the same words, such as `StoredDocs.key`."""


@final
class ByWords:
    """Judged queries and docs, compared by words."""

    def __init__(self, topics: Topics, key: Key) -> None:
        self.key = key
        self._words = {query.query_id: words(query.text) for query in topics.queries}
        self._relevant: dict[str, set[Hashable]] = {}
        for qrel in topics.qrels:
            if qrel.relevance > 0:
                query_words = self._words[qrel.query_id]
                self._relevant.setdefault(query_words, set()).add(key(qrel.doc_id))

    def is_relevant(self, query_id: str, doc_id: str) -> bool:
        """Whether a doc of these words is judged relevant, whatever the grade, for a query of these words."""
        return self.key(doc_id) in self._relevant.get(self._words[query_id], ())

    def distinct(self, doc_ids: Iterable[str]) -> list[str]:
        """The docs in their order without duplicates: of docs with the same words the first stays."""
        first: dict[Hashable, str] = {}
        for doc_id in doc_ids:
            first.setdefault(self.key(doc_id), doc_id)
        return list(first.values())

    def twins(self, query_ids: Iterable[str]) -> list[str]:
        """The queries that have a duplicate among them."""
        queries = list(query_ids)
        n_of = Counter(self._words[query_id] for query_id in queries)
        return [query_id for query_id in queries if n_of[self._words[query_id]] > 1]

    def doubles(self, doc_ids: Iterable[str]) -> list[str]:
        """The docs that have a duplicate among them."""
        docs = list(dict.fromkeys(doc_ids))
        n_of = Counter(map(self.key, docs))
        return [doc_id for doc_id in docs if n_of[self.key(doc_id)] > 1]


def parted(
    by_words: ByWords | None, query_id: str, doc_ids: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """The hard negatives without duplicates, and the docs left out because a relevant doc has their words.

    Without a comparison by words (docs that have no text), all are negatives.
    """
    if by_words is None:
        return list(doc_ids), ()
    relevant = [doc_id for doc_id in doc_ids if by_words.is_relevant(query_id, doc_id)]
    known = set(relevant)
    return by_words.distinct(doc_id for doc_id in doc_ids if doc_id not in known), tuple(relevant)
