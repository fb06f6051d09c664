"""The best docs of each query among scores that come in blocks, in whatever order the blocks come.

One whole number holds a score and a place: the larger it is the better the doc, by the score first and then by the
collection's order. So the best are the largest numbers, and no two docs tie.
"""

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LAST_PLACE = 0xFFFF_FFFF
_NOTHING = np.iinfo(np.int64).min
_MAGNITUDE = np.int32(0x7FFF_FFFF)
"""The bits of a float32 but its sign."""


@final
class Best:
    """The `depth` best docs of each query so far.

    A query has room for 2 `depth` candidates and a block of new ones; where more than 2 `depth` have come, all but the
    best `depth` go. What does not reach the worst of these, the query's floor, is no candidate any more.
    """

    def __init__(self, n_queries: int, depth: int) -> None:
        self.depth = depth
        self._keys = np.zeros((n_queries, 0), dtype=np.int64)
        self._filled = np.zeros(n_queries, dtype=np.int64)
        self.floor = np.full((n_queries, 1), -np.inf, dtype=np.float32)
        """Scores below it are not among the best; it rises."""

    def add(
        self, rows: NDArray[np.int64], places: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> None:
        """Take in candidates: queries' rows in rising order, docs' places below 2^32, and finite scores."""
        if not len(rows):
            return
        counts = np.bincount(rows, minlength=len(self._filled))
        self._make_room(2 * self.depth + int(counts.max()))
        self._keys.reshape(-1)[self._behind(counts)] = _keys_of(scores, places)
        self._filled += counts
        self._cut(np.flatnonzero(self._filled > 2 * self.depth))

    def ranked(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(places, scores), best first; each of (queries, depth), if each query had so many candidates."""
        self._cut(np.flatnonzero(self._filled > self.depth))
        keys = np.sort(self._keys[:, : self.depth], axis=1)[:, ::-1]
        return LAST_PLACE - (keys & LAST_PLACE), _scores_of(keys)

    def _behind(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where so many new candidates of each query go, among all keys in a row: behind those that it has."""
        ends = np.arange(len(self._filled)) * self._keys.shape[1] + self._filled
        firsts = np.cumsum(counts) - counts
        return np.repeat(ends - firsts, counts) + np.arange(counts.sum())

    def _make_room(self, width: int) -> None:
        if self._keys.shape[1] < width:
            wider = np.full((len(self._keys), width), _NOTHING)
            wider[:, : self._keys.shape[1]] = self._keys
            self._keys = wider

    def _cut(self, rows: NDArray[np.int64]) -> None:
        """Leave these queries their best alone."""
        if not len(rows):
            return
        width = int(self._filled[rows].max())
        keys = self._keys[rows, :width]
        keys.partition(width - self.depth, axis=1)
        best = keys[:, width - self.depth :]
        self._keys[rows, : self.depth] = best
        self._keys[rows, self.depth : width] = _NOTHING
        self._filled[rows] = self.depth
        self.floor[rows] = _scores_of(best[:, :1])


def _keys_of(scores: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.int64]:
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    return _in_order(bits).astype(np.int64) << 32 | (LAST_PLACE - places)


def _scores_of(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    return _in_order((keys >> 32).astype(np.int32)).view(np.float32)


def _in_order(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Numbers in the order of the floats with these bits; given those, the bits."""
    return bits ^ ((bits >> 31) & _MAGNITUDE)  # floats below 0 are in falling order of their bits


Candidates = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""Rows, columns and scores of (queries, docs)."""


def candidates(scores: Tensor, floor: NDArray[np.float32], depth: int) -> Candidates:
    """What reaches its query's floor. scores: (queries, docs), on any device."""
    if scores.device.type != "cpu":
        return best_of_block(scores, floor, depth)
    values = scores.numpy()
    places = np.flatnonzero(values >= floor)
    rows = places // values.shape[1]
    return rows, places - rows * values.shape[1], values.reshape(-1).take(places)


def best_of_block(scores: Tensor, floor: NDArray[np.float32], depth: int) -> Candidates:
    """What reaches its query's floor and the `depth`-th best of the block: the rest stays on the device."""
    bound = torch.from_numpy(floor).to(scores.device)
    if scores.shape[1] > depth:
        bound = torch.maximum(bound, scores.topk(depth, dim=1).values[:, -1:])
    reaching = torch.nonzero(scores >= bound, as_tuple=True)
    rows, columns = (each.cpu().numpy() for each in reaching)
    return rows, columns, scores[reaching].cpu().numpy()
