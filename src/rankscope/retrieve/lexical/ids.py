"""Doc ids on disk, mapped: those of ranked docs are read, the others are not.

    ids.txt        the ids, one after another
    offsets.npy    where each begins, and the end of the last
    ranks.npy      the rank of each id among all, from 0

Ids are ranked by their characters, as Python compares text.
"""

import mmap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput

_TEXT, _OFFSETS, _RANKS = "ids.txt", "offsets.npy", "ranks.npy"
_HALVES = "surrogatepass"  # an id is whatever its reader took


def write(folder: Path, ids: Sequence[str]) -> None:
    """Write ids into a folder; BadInput for one that stands twice."""
    ranks = _ranks(ids)
    folder.mkdir(exist_ok=True)
    (folder / _TEXT).write_bytes("".join(ids).encode(errors=_HALVES))
    offsets = np.zeros(len(ids) + 1, dtype=np.int64)
    lengths = (len(doc_id.encode(errors=_HALVES)) for doc_id in ids)
    np.cumsum(np.fromiter(lengths, dtype=np.int64, count=len(ids)), out=offsets[1:])
    np.save(folder / _OFFSETS, offsets)
    np.save(folder / _RANKS, ranks)


def _ranks(ids: Sequence[str]) -> NDArray[np.int32]:
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for place, following in pairwise(order):
        if ids[place] == ids[following]:
            raise BadInput(f"The doc id {ids[place]!r} stands twice among the docs. Keep one.")
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[order] = np.arange(len(ids), dtype=np.int32)
    return ranks


@final
class StoredIds:
    """The ids that `write` wrote, by place."""

    def __init__(self, folder: Path) -> None:
        with (folder / _TEXT).open("rb") as file:
            self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._offsets = np.asarray(np.load(folder / _OFFSETS, mmap_mode="r"))
        self._read: dict[int, str] = {}
        self.ranks: NDArray[np.int32] = np.asarray(np.load(folder / _RANKS, mmap_mode="r"))

    def __len__(self) -> int:
        return len(self.ranks)

    def at(self, places: NDArray[np.int64]) -> list[str]:
        """The ids of the docs at these places; those that were read before are the same objects."""
        read, wanted = self._read, places.tolist()
        new = [place for place in wanted if place not in read]
        starts, ends = (self._offsets[np.array(new, dtype=np.int64) + at].tolist() for at in (0, 1))
        for place, start, end in zip(new, starts, ends, strict=True):
            read[place] = self._text[start:end].decode(errors=_HALVES)
        return list(map(read.__getitem__, wanted))
