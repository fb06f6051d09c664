"""Which docs are relevant for a query, and which docs are one: by their words, whatever their ids.

A collection may ask one thing under two ids, and hold one doc under two. By ids alone a query's twin has
its positive as a negative, and a doc is its own: no training can lower such a loss.
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
                asked = self._words[qrel.query_id]
                self._relevant.setdefault(asked, set()).add(key(qrel.doc_id))

    def is_relevant(self, query_id: str, doc_id: str) -> bool:
        """Whether a doc of these words is judged relevant, whatever the grade, for a query of these words."""
        return self.key(doc_id) in self._relevant.get(self._words[query_id], ())

    def distinct(self, doc_ids: Iterable[str]) -> list[str]:
        """The docs, in their order, of each words the first."""
        first: dict[Hashable, str] = {}
        for doc_id in doc_ids:
            first.setdefault(self.key(doc_id), doc_id)
        return list(first.values())

    def twins(self, query_ids: Iterable[str]) -> list[str]:
        """The queries whose words another of them has, too."""
        asked = list(query_ids)
        n_of = Counter(self._words[query_id] for query_id in asked)
        return [query_id for query_id in asked if n_of[self._words[query_id]] > 1]

    def doubles(self, doc_ids: Iterable[str]) -> list[str]:
        """The docs whose words another of them has, too."""
        there = list(dict.fromkeys(doc_ids))
        n_of = Counter(map(self.key, there))
        return [doc_id for doc_id in there if n_of[self.key(doc_id)] > 1]


def parted(
    by_words: ByWords | None, query_id: str, doc_ids: Sequence[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Hard negatives, each words once, and those left out because their words are relevant.

    Without a comparison by words (docs that have no text), all are negatives.
    """
    if by_words is None:
        return list(doc_ids), ()
    relevant = [doc_id for doc_id in doc_ids if by_words.is_relevant(query_id, doc_id)]
    known = set(relevant)
    return by_words.distinct(doc_id for doc_id in doc_ids if doc_id not in known), tuple(relevant)
