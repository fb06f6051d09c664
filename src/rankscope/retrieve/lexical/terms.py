"""The terms of blocks of docs, as numbers.

The exact analyzer alone says what the term of a word is; here its answers are remembered: of short ASCII words by their
bytes (`keys`), of longer words and of pieces that are not ASCII by their text.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from rankscope.retrieve.analyzer import LONGEST_REMEMBERED, REMEMBERED, analyzed, terms_of
from rankscope.retrieve.lexical import boundaries, keys
from rankscope.retrieve.lexical.blocks import DocBlock, Piece

NO_TERM = -1
"""Stands for the term of a word that is not counted."""


WORDS_AT_ONCE = 1 << 17
"""Words that are looked up at once: what the first of them are is known to the next, and their arrays fit a cache."""


class Occurrences(NamedTuple):
    """Terms and the docs that they stand in, once for each time, in no order."""

    terms: NDArray[np.int64]
    docs: NDArray[np.int64]


@final
class Vocabulary:
    """The terms met so far, numbered in the order in which they were met."""

    def __init__(self, language: str) -> None:
        self.numbers: dict[str, int] = {}
        self._language = language
        self._table = keys.TermTable()
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._analyzed)

    def occurrences(self, block: DocBlock) -> Occurrences:
        """All terms of a block's docs."""
        text, doc_starts = boundaries.padded(block.texts)
        words = boundaries.found(text)
        docs = block.first_doc + _numbers_of(doc_starts, words.starts)
        lengths = words.ends - words.starts
        short, long = (
            np.flatnonzero(lengths <= keys.LONGEST),
            np.flatnonzero(lengths > keys.LONGEST),
        )
        terms = self._of_short(text, words.starts[short], lengths[short])
        is_counted = terms != NO_TERM
        long_words = _texts(text, words.starts[long], lengths[long])
        pieces = [Piece(*pair) for pair in zip(docs[long].tolist(), long_words, strict=True)]
        others = self._of_pieces(block.pieces + pieces)
        return Occurrences(
            np.concatenate([terms[is_counted], others.terms]),
            np.concatenate([docs[short][is_counted], others.docs]),
        )

    def _of_short(
        self, text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The term of each word that has a key, or `NO_TERM`."""
        terms = np.empty(len(starts), dtype=np.int64)
        for first in range(0, len(starts), WORDS_AT_ONCE):
            part = slice(first, first + WORDS_AT_ONCE)
            terms[part] = self._looked_up(text, starts[part], lengths[part])
        return terms

    def _looked_up(
        self, text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        word_keys = keys.keys_of(text, starts, lengths)
        terms = self._table.look_up(word_keys)
        missing = np.flatnonzero(terms == keys.UNKNOWN)
        if len(missing):
            missing_keys = word_keys.at(missing)
            places, numbers = keys.distinct(missing_keys)
            new_words = _texts(text, starts[missing[places]], lengths[missing[places]])
            new_terms = self._numbered(terms_of(new_words, self._language))
            self._table.remember(missing_keys.at(places), new_terms)
            terms[missing] = new_terms[numbers]
        return terms

    def _of_pieces(self, pieces: Sequence[Piece]) -> Occurrences:
        by_piece = [
            self._remembered(text) if len(text) <= LONGEST_REMEMBERED else self._analyzed(text)
            for _, text in pieces
        ]
        docs = np.fromiter((doc for doc, _ in pieces), dtype=np.int64, count=len(pieces))
        n_terms = np.fromiter(map(len, by_piece), dtype=np.int64, count=len(pieces))
        terms = np.fromiter(chain.from_iterable(by_piece), dtype=np.int64, count=n_terms.sum())
        return Occurrences(terms, np.repeat(docs, n_terms))

    def _analyzed(self, text: str) -> tuple[int, ...]:
        return tuple(self._numbered(analyzed(text, self._language)).tolist())

    def _numbered(self, terms: Sequence[str | None]) -> NDArray[np.int64]:
        known = self.numbers
        return np.fromiter(
            (NO_TERM if term is None else known.setdefault(term, len(known)) for term in terms),
            dtype=np.int64,
            count=len(terms),
        )


def _texts(text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """The words that begin at these bytes of an ASCII text."""
    bounds = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
    return [text[start:end].decode("ascii") for start, end in bounds]


def _numbers_of(doc_starts: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the doc in which each word begins."""
    firsts = np.searchsorted(starts, doc_starts)
    n_words = np.diff(firsts, append=len(starts))
    return np.repeat(np.arange(len(doc_starts)), n_words)
