"""Postings: for each term the docs that it stands in, and how often.

Those of a block are sorted and laid aside in one file, as runs: a run is the postings of one term, and runs come in the
order of the terms.
"""

from typing import IO, Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rankscope.retrieve.lexical.terms import Occurrences

_DOC_BITS = 32


class Postings(NamedTuple):
    """Sorted postings: the runs' terms and numbers of postings; the postings' docs and term frequencies."""

    run_terms: NDArray[np.int32]
    run_lengths: NDArray[np.int32]
    docs: NDArray[np.int32]
    tfs: NDArray[Any]


def sorted_postings(occurrences: Occurrences) -> Postings:
    """Postings by term and doc: equal neighbours of the sorted pairs are a term's frequency in a doc."""
    pairs = (occurrences.terms << _DOC_BITS) | occurrences.docs
    pairs.sort()
    firsts, tfs = _runs(pairs)
    postings = pairs[firsts]
    run_firsts, run_lengths = _runs(postings >> _DOC_BITS)
    return Postings(
        (postings[run_firsts] >> _DOC_BITS).astype(np.int32),
        run_lengths.astype(np.int32),
        (postings & ((1 << _DOC_BITS) - 1)).astype(np.int32),
        tfs.astype(np.min_scalar_type(tfs.max(initial=0))),
    )


def _runs(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(firsts, lengths) of the runs of equal values."""
    is_first = np.ones(len(values), dtype=bool)
    is_first[1:] = values[1:] != values[:-1]
    firsts = np.flatnonzero(is_first)
    return firsts, np.diff(firsts, append=len(values))


class _Array(NamedTuple):
    """Where an array is in the file."""

    offset: int
    dtype: np.dtype[Any]
    length: int


@final
class Spill:
    """Postings laid aside in a file, one block after another."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._blocks: list[tuple[_Array, ...]] = []

    def __len__(self) -> int:
        return len(self._blocks)

    def add(self, postings: Postings) -> None:
        """Lay aside the postings of the next block."""
        arrays = []
        for array in postings:
            arrays.append(_Array(self._file.tell(), array.dtype, len(array)))
            self._file.write(array.tobytes())
        self._blocks.append(tuple(arrays))

    def runs(self, block: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """(terms, lengths) of all runs of a block."""
        terms, lengths, _, _ = self._blocks[block]
        return self._read(terms, slice(0, terms.length)), self._read(
            lengths, slice(0, terms.length)
        )

    def part(self, block: int, runs: slice, postings: slice) -> Postings:
        """Some runs of a block, with the postings that are theirs."""
        terms, lengths, docs, tfs = self._blocks[block]
        return Postings(
            self._read(terms, runs),
            self._read(lengths, runs),
            self._read(docs, postings),
            self._read(tfs, postings),
        )

    def _read(self, array: _Array, part: slice) -> NDArray[Any]:
        # not by a memory map, whose pages would count as memory of the process
        size = array.dtype.itemsize
        self._file.seek(array.offset + part.start * size)
        return np.frombuffer(self._file.read((part.stop - part.start) * size), dtype=array.dtype)
