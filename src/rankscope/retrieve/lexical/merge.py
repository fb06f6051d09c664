"""The postings of all blocks merged, a stripe of terms at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankscope.retrieve.lexical.postings import Postings, Spill

STRIPE = 1_000_000
"""Postings that are merged at once, unless one term has more."""


class Stripe(NamedTuple):
    """The postings of the terms from `start` to `end`, by term and doc."""

    start: int
    end: int
    docs: NDArray[np.int32]
    tfs: NDArray[np.int64]


def doc_frequencies(spill: Spill, n_terms: int) -> NDArray[np.int64]:
    """The number of docs of each term."""
    dfs = np.zeros(n_terms, dtype=np.int64)
    for block in range(len(spill)):
        terms, lengths = spill.runs(block)
        dfs[terms] += lengths
    return dfs


def stripes(spill: Spill, dfs: NDArray[np.int64]) -> Iterator[Stripe]:
    """All postings, in the order of the terms."""
    bounds = _bounds(dfs)
    places = [_places(spill, block, bounds) for block in range(len(spill))]
    for at, (start, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        parts = [
            spill.part(block, slice(*runs[at : at + 2]), slice(*postings[at : at + 2]))
            for block, (runs, postings) in enumerate(places)
        ]
        yield _merged(start, end, parts)


def _bounds(dfs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The terms at which stripes begin, and the number of terms."""
    ends = np.cumsum(dfs)
    firsts = np.searchsorted(ends, np.arange(0, ends[-1], STRIPE), side="right")
    return np.unique(np.append(firsts, len(dfs)))


def _places(spill: Spill, block: int, bounds: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The first run and the first posting of each stripe in a block."""
    terms, lengths = spill.runs(block)
    runs = np.searchsorted(terms, bounds)
    postings = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[runs]
    return runs.tolist(), postings.tolist()


def _merged(start: int, end: int, parts: list[Postings]) -> Stripe:
    """Runs of one term come in the order of the blocks, which is that of the docs."""
    terms = np.concatenate([part.run_terms for part in parts])
    lengths = np.concatenate([part.run_lengths for part in parts])
    docs = np.concatenate([part.docs for part in parts])
    tfs = np.concatenate([part.tfs for part in parts])
    order = np.argsort(terms, kind="stable")
    in_order = lengths[order].astype(np.int64)
    begins = np.empty(len(order), dtype=np.int64)  # where each run goes
    begins[order] = np.cumsum(in_order) - in_order
    moves = begins - (np.cumsum(lengths, dtype=np.int64) - lengths)
    places = np.repeat(moves, lengths) + np.arange(len(docs))
    merged_docs, merged_tfs = np.empty_like(docs), np.empty(len(tfs), dtype=np.int64)
    merged_docs[places], merged_tfs[places] = docs, tfs
    return Stripe(start, end, merged_docs, merged_tfs)
