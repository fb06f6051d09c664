"""The best docs by their scores, exact also where scores tie at the cut.

The docs are dealt to piles, at least twice `depth` of them. Each pile's best doc is one of as many docs, so the
`depth`-th largest of their best scores is a bound that at least `depth` docs reach: only docs that reach it are sorted.
Where docs are few for the depth, a bound would cost more than it spares.

What is sorted is one whole number a doc, its score and its id's rank, and the doc's place is looked up by the rank:
numpy sorts numbers several times as fast as it sorts their places.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PILE = 64
"""The most docs of a pile; arrays of scores are as long as a multiple of it."""
FEW = 16
"""Docs for each place of the ranking; where there are fewer, all that have a score are candidates."""
MANY = 2
"""Candidates for each place of the ranking; where there are more, those that are cut off are parted from the others
before the sort. (Sorting fewer whole is faster.)"""
_TINY = np.finfo(np.float32).smallest_subnormal
_RANK = np.int64(0xFFFF_FFFF)


class Top(NamedTuple):
    """A query's best docs, best first: their places in the collection, and their scores."""

    places: NDArray[np.int64]
    scores: NDArray[np.float32]


class IdRanks(NamedTuple):
    """The rank of each doc's id among all, from 0, by its place in the collection; and the place by the rank."""

    ranks: NDArray[np.int32]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, ranks: NDArray[np.int32]) -> "IdRanks":
        """Those of ids with these ranks; 4 bytes a doc are kept for the places."""
        places = np.empty_like(ranks)
        places[ranks] = np.arange(len(ranks), dtype=np.int32)
        return cls(ranks, places)


def padded_length(n_docs: int) -> int:
    """The length of an array of scores for so many docs; what is beyond them has the score 0."""
    return -(-n_docs // PILE) * PILE


def top(scores: NDArray[np.float32], ids: IdRanks, depth: int) -> Top:
    """The `depth` best docs with a score above 0, equal ones by their ids' ranks, both descending.

    scores: `padded_length` of them, none below 0.
    """
    places = _reaching(scores, depth)
    keys = _keys_of(scores.take(places), ids.ranks.take(places))
    if len(keys) > MANY * depth:
        keys = np.partition(keys, len(keys) - depth)[len(keys) - depth :]
    keys = np.sort(keys)[: -depth - 1 : -1]
    return Top(ids.places.take(keys & _RANK).astype(np.int64), _scores_of(keys))


def _keys_of(scores: NDArray[np.float32], ranks: NDArray[np.int32]) -> NDArray[np.int64]:
    """Numbers in the order of scores above 0, equal ones in that of ranks: no two docs have the same."""
    bits = scores.view(np.int32).astype(np.int64)  # floats above 0 are in the order of their bits
    return bits << 32 | ranks


def _scores_of(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    return (keys >> 32).astype(np.int32).view(np.float32)


def _reaching(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Places of docs that may be among the best; all have a score above 0."""
    if len(scores) < FEW * depth:
        return np.flatnonzero(scores > 0)
    size = PILE
    while len(scores) // size < 2 * depth:
        size //= 2
    piles = scores.reshape(size, -1)
    best = piles.max(axis=0)
    n_piles = len(best)
    bound = max(np.sort(best)[-depth], _TINY)  # many are equal, which makes a partition slow
    reaching = np.flatnonzero(best >= bound)
    found = np.flatnonzero(piles.take(reaching, axis=1) >= bound)
    rows, columns = np.divmod(found, len(reaching))
    return rows * n_piles + reaching.take(columns)
