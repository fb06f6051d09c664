"""Words as keys of 16 bytes, and a table from keys to terms.

A key is a word's bytes, filled up with zeros, as two integers: two words have one key only if they are the same. So a
word of more bytes has no key.

The table is a cache: a word has two slots to choose from, and where both are taken it is not remembered. Whoever comes
first stays, and frequent words come first.
"""

from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

LONGEST = 16
"""Bytes of the longest word that has a key."""
UNKNOWN = -2
"""Stands for the term of a key that the table does not hold."""
FEWEST_BITS, MOST_BITS = 16, 22
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
"""What is left of eight bytes if the first n count; the first byte is the lowest."""
_MIX_LOW, _MIX_HIGH, _SECOND = (
    np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)
)


class Keys(NamedTuple):
    """The first and the last eight bytes of words."""

    low: NDArray[np.uint64]
    high: NDArray[np.uint64]

    def at(self, places: NDArray[np.int64]) -> "Keys":
        """The keys at these places."""
        return Keys(self.low[places], self.high[places])


def keys_of(text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Keys:
    """The keys of words of at most `LONGEST` bytes in a text that is padded by as many."""
    eights: NDArray[np.uint64] = np.ndarray(
        (len(text) - 7,), dtype="<u8", buffer=text, strides=(1,)
    )
    low = eights[starts] & _MASKS[np.minimum(lengths, 8)]
    high = eights[starts + 8] & _MASKS[np.maximum(lengths - 8, 0)]
    return Keys(low, high)


def distinct(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(places, numbers): where each distinct key stands first, by place, and the number of each key among those."""
    order = np.lexsort((keys.high, keys.low))
    low, high = keys.low[order], keys.high[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    places = order[is_new]  # the sort is stable
    by_place = np.argsort(places)
    number_of = np.empty_like(by_place)
    number_of[by_place] = np.arange(len(by_place))
    numbers = np.empty_like(order)
    numbers[order] = number_of[np.cumsum(is_new) - 1]
    return places[by_place], numbers


@final
class TermTable:
    """From keys to numbers of terms."""

    def __init__(self) -> None:
        self._bits = FEWEST_BITS
        self._n_words = 0
        self._rows = _empty_rows(self._bits)

    def look_up(self, keys: Keys) -> NDArray[np.int64]:
        """The term of each key; `UNKNOWN` for those that are not here."""
        first, second = self._slots(keys)
        terms = self._terms_in(first, keys)
        missing = np.flatnonzero(terms == UNKNOWN)
        terms[missing] = self._terms_in(second[missing], keys.at(missing))
        return terms

    def remember(self, keys: Keys, terms: NDArray[np.int64]) -> None:
        """Keep the terms of distinct keys that are not here, as far as there is room."""
        self._n_words += len(terms)
        while self._n_words > 1 << self._bits - 1 and self._bits < MOST_BITS:
            self._grow()
        self._insert(keys, terms)

    def _insert(self, keys: Keys, terms: NDArray[np.int64]) -> None:
        rows = np.empty(len(terms), dtype=self._rows.dtype)
        rows["low"], rows["high"], rows["term"] = *keys, terms
        first, second = self._slots(keys)
        left = self._placed(rows, first)
        self._placed(rows.take(left), second.take(left))

    def _placed(self, rows: NDArray[np.void], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put rows into their slots where those are free; the rows that found none."""
        free = np.flatnonzero(self._rows.take(slots)["low"] == 0)
        self._rows.put(slots.take(free), rows.take(free))  # of two for one slot the last stays
        held = self._rows.take(slots)
        return np.flatnonzero((held["low"] != rows["low"]) | (held["high"] != rows["high"]))

    def _grow(self) -> None:
        held = self._rows[self._rows["low"] != 0]
        self._bits = min(self._bits + 2, MOST_BITS)
        self._rows = _empty_rows(self._bits)
        self._insert(Keys(held["low"], held["high"]), held["term"])

    def _slots(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        mixed = keys.low * _MIX_LOW ^ keys.high * _MIX_HIGH
        mixed ^= mixed >> np.uint64(29)
        shift = np.uint64(64 - self._bits)
        first, second = (mixed * _MIX_HIGH) >> shift, (mixed * _SECOND) >> shift
        return first.view(np.int64), second.view(np.int64)

    def _terms_in(self, slots: NDArray[np.int64], keys: Keys) -> NDArray[np.int64]:
        rows = self._rows.take(slots)  # a tenth of the time of self._rows[slots]
        is_here = (rows["low"] == keys.low) & (rows["high"] == keys.high)
        return np.where(is_here, rows["term"], UNKNOWN)


def _empty_rows(bits: int) -> NDArray[np.void]:
    """Slots without a key: no word has only zeros."""
    return np.zeros(1 << bits, dtype=[("low", "<u8"), ("high", "<u8"), ("term", "<i8")])
