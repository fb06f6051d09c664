"""The best docs by their scores, exact also where scores tie at the cut.

The docs are dealt to piles. Each pile's best doc is one of as many docs, so where there are at least `depth` piles, the
`depth`-th largest of their best scores is a bound that at least `depth` docs reach: only docs that reach it are sorted.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PILE = 64
"""The most docs of a pile; arrays of scores are as long as a multiple of it."""
_TINY = np.finfo(np.float32).tiny


class Top(NamedTuple):
    """A query's best docs, best first: their places in the collection, and their scores."""

    places: NDArray[np.int64]
    scores: NDArray[np.float32]


def padded_length(n_docs: int) -> int:
    """The length of an array of scores for so many docs; what is beyond them has the score 0."""
    return -(-n_docs // PILE) * PILE


def top(scores: NDArray[np.float32], id_ranks: NDArray[np.int32], depth: int) -> Top:
    """The `depth` best docs with a score above 0, equal ones by `id_ranks`, both descending.

    scores: `padded_length` of them, none below 0; id_ranks: the rank of each doc's id among all, ascending.
    """
    places = _reaching(scores, depth)
    # floats above 0 are in the order of their bits; with the ids' ranks below them no two docs are equal
    bits = scores[places].view(np.int32).astype(np.int64)
    keys = bits << 32 | id_ranks[places]
    if len(keys) > depth:
        best = np.argpartition(keys, len(keys) - depth)[len(keys) - depth :]
        places, keys = places[best], keys[best]
    places = places[np.argsort(keys)[::-1]]
    return Top(places, scores[places])


def _reaching(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Places of docs that may be among the best."""
    size = PILE
    while size > 1 and len(scores) // size < 2 * depth:
        size //= 2
    piles = scores.reshape(size, -1)
    best = piles.max(axis=0)
    n_piles = len(best)
    bound = (
        max(np.partition(best, n_piles - depth)[n_piles - depth], _TINY)
        if n_piles >= depth
        else _TINY
    )
    reaching = np.flatnonzero(best >= bound)
    found = np.flatnonzero(piles.take(reaching, axis=1) >= bound)
    rows, columns = np.divmod(found, len(reaching))
    return rows * n_piles + reaching.take(columns)
