"""Leaks: test queries among the training queries, relevant docs among the negatives.

Queries are the same if their words are, whatever their ids; so are docs.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from rankscope.core.words import of_number, words
from rankscope.data.by_words import ByWords
from rankscope.data.collections import Topics, n_shared
from rankscope.data.samples import NOT_RANKED, NOT_RETRIEVED, Pool, Pools, QrelPool


def shared_queries(what: str, topics: Topics, source: str, learnt: Topics) -> str | None:
    """How many of the queries are training queries, in words; None if none is."""
    n = n_shared(topics, learnt)
    are = of_number(n, "is a training query", "are training queries")
    return f"{n} of {len(topics.queries)} {what} {are}{source}" if n else None


@dataclass(frozen=True)
class RelevantNegatives:
    """Relevant docs that are ranked among the negatives; `parted` leaves all of them out."""

    n_queries: int
    n_queries_with: int
    judged: int
    """Judged relevant for a query of the same words."""
    same_text: int
    """Of the words of a relevant doc, under another id."""
    first: str
    """A query and a doc, to look at."""


def relevant_negatives(
    pools: Sequence[Pool], topics: Topics, text: Callable[[str], str]
) -> RelevantNegatives:
    """The relevant docs among those ranked as hard negatives; `text` gives a doc's text."""
    by_words = ByWords(topics, lambda doc_id: words(text(doc_id)))
    words_of = {query.query_id: words(query.text) for query in topics.queries}
    judged_of: dict[str, set[str]] = {}
    for qrel in topics.qrels:
        if qrel.relevance > 0:
            judged_of.setdefault(words_of[qrel.query_id], set()).add(qrel.doc_id)
    examined = [pool for pool in pools if isinstance(pool, QrelPool)]
    n_with = n_judged = n_same = 0
    first = ""
    for pool in examined:
        ranked = [*pool.left_out, *pool.hard_negatives]
        relevant = [doc_id for doc_id in ranked if by_words.is_relevant(pool.query_id, doc_id)]
        judged = judged_of.get(words_of[pool.query_id], set()).intersection(relevant)
        n_judged, n_same = n_judged + len(judged), n_same + len(relevant) - len(judged)
        n_with += bool(relevant)
        first = first or next((f"{pool.query_id}, doc {doc}" for doc in relevant), "")
    return RelevantNegatives(len(examined), n_with, n_judged, n_same, first)


@dataclass(frozen=True)
class Retrieved:
    """How often a first stage finds a positive of a query, and how often it would by chance."""

    n_queries: int
    n_found: int
    by_chance: float
    """The share of queries, had the positives been drawn at random from all docs."""

    @property
    def above_chance(self) -> float:
        """How far it is from chance (0) to always (1); 1 where chance is already that."""
        if self.by_chance >= 1:
            return 1.0
        return (self.n_found / self.n_queries - self.by_chance) / (1 - self.by_chance)


def retrieved(
    pools: Pools, topics: Topics, *, depth: int, min_relevance: int, n_docs: int
) -> Retrieved:
    """Of the ranked queries with a positive, in how many the first stage's top `depth` holds one."""
    n_positives = Counter(q.query_id for q in topics.qrels if q.relevance >= min_relevance)
    missed = 1 - min(depth, n_docs) / n_docs
    by_chance = fmean(1 - missed**n for n in n_positives.values())
    n_not = pools.n_added + pools.n_mistaken + pools.dropped.get(NOT_RETRIEVED, 0)
    n_ranked = len(n_positives) - pools.dropped.get(NOT_RANKED, 0)
    return Retrieved(n_ranked, n_ranked - n_not, by_chance)
