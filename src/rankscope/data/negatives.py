"""Hard negatives out of a run: skip the top, drop likely positives, draw."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from random import Random

from rankscope.core.records import ScoredDoc


def between(ranking: Sequence[ScoredDoc], skip_top: int, depth: int) -> list[ScoredDoc]:
    """The docs at ranks `skip_top` + 1 to `depth`: the top of a run is full of unjudged positives."""
    return list(ranking[skip_top:depth])


def without(docs: Sequence[ScoredDoc], relevant: AbstractSet[str]) -> list[str]:
    """The ids of the docs that are not judged relevant."""
    return [doc.doc_id for doc in docs if doc.doc_id not in relevant]


def drawn(doc_ids: Sequence[str], n: int, rng: Random) -> list[str]:
    """`n` of the docs, each at most once, in random order; all of them if there are fewer."""
    return rng.sample(doc_ids, k=min(n, len(doc_ids)))
