"""The words of ASCII text, found by looking at its bytes: the same as `analyzer.ASCII_WORD` finds.

A word is a run of letters, digits and underscores. Between two letters `.`, `:` and `'` are part of it, between two
digits `.`, `,`, `;` and `'`; so whether a byte is in a word depends on its neighbours alone.
"""

import string
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAD = 16
"""Bytes after the text's end that may be read: those of the longest key."""
_WORD, _LETTER, _DIGIT = 1, 2, 4
_JOINS_LETTERS, _JOINS_DIGITS = _LETTER << 2, _DIGIT << 2
_MARKS = {".": _JOINS_LETTERS | _JOINS_DIGITS, "'": _JOINS_LETTERS | _JOINS_DIGITS, ":": _JOINS_LETTERS,
          ",": _JOINS_DIGITS, ";": _JOINS_DIGITS}  # fmt: skip


def _class(character: str) -> int:
    if character in string.ascii_letters:
        return _WORD | _LETTER
    if character in string.digits:
        return _WORD | _DIGIT
    return _WORD if character == "_" else _MARKS.get(character, 0)


CLASSES = bytes(_class(chr(byte)) if byte < 128 else 0 for byte in range(256))
"""The class of each byte: bits that say what it is and what it joins."""


class Words(NamedTuple):
    """Words of a text: the bytes where each begins, and where the next byte after each is."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def padded(texts: list[str]) -> tuple[bytes, NDArray[np.int64]]:
    """ASCII texts as one, and the byte where each begins; no word begins it or ends it or spans two texts."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    starts = np.cumsum(lengths + 1) - lengths
    return f" {' '.join(texts)}".encode("ascii") + bytes(PAD), starts


def found(text: bytes) -> Words:
    """The words of a text that `padded` made."""
    classes = np.frombuffer(text.translate(CLASSES), dtype=np.uint8)
    is_inside = (classes & _WORD).astype(bool)
    marks = np.flatnonzero(classes >= _JOINS_LETTERS)
    # shifted, what a mark joins is what its neighbours must be
    is_joined = (classes[marks] >> 2) & classes[marks - 1] & classes[marks + 1]
    is_inside[marks[is_joined != 0]] = True
    edges = np.flatnonzero(is_inside[1:] != is_inside[:-1]) + 1
    return Words(edges[::2], edges[1::2])
