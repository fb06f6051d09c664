"""Lines of columns as positions of bytes in a block of text: no object is made for a line.

A field is where a column's bytes begin and end in each line. What is asked of fields here is asked of all lines at once,
a byte of each at a time.
"""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

LONGEST = 64
"""Bytes of the longest field that is compared or read as a number."""
MOST_DIGITS = 15
"""A number of so many digits is whole below 2^53, so that dividing it by a power of ten rounds once, as `float` does."""
_WHITE = b" \t\n\v\f\r"
_IS_SPACE = bytes(byte in _WHITE for byte in range(256))
_NEW_LINE, _ZERO, _POINT, _MINUS = 10, 48, 46, 45
_POWERS = np.array([float(10**n) for n in range(MOST_DIGITS + 1)])


class Field(NamedTuple):
    """Where a column begins and ends, in each line."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The bytes of each line's field."""
        return self.ends - self.starts


class Numbers(NamedTuple):
    """Numbers as far as they are plain decimals, such as -12.5."""

    values: NDArray[np.float64]
    is_odd: NDArray[np.bool_]
    """Lines whose field is anything else; their value is void."""


@final
class ByteLines:
    """A block of whole lines, each of as many columns."""

    def __init__(self, data: bytes, fields: Sequence[Field], line_ends: NDArray[np.int64]) -> None:
        self._data, self._codes = data, np.frombuffer(data, dtype=np.uint8)
        self.fields = fields
        """The columns, from the first."""
        self.line_ends = line_ends
        """Where each line's new line is."""

    @classmethod
    def of(cls, data: bytes, n_columns: int) -> "ByteLines | None":
        """The lines; None where one has another number of columns, or the last is not ended."""
        is_space = np.frombuffer(data.translate(_IS_SPACE), dtype=np.bool_)
        edges = np.flatnonzero(is_space[1:] != is_space[:-1]) + 1
        if not is_space[0]:
            edges = np.concatenate([[0], edges])
        line_ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == _NEW_LINE)
        if not len(edges) or len(edges) != 2 * n_columns * len(line_ends):
            return None
        by_line = edges.reshape(len(line_ends), 2 * n_columns)
        is_ended = (by_line[:, -1] <= line_ends).all() and (by_line[1:, 0] > line_ends[:-1]).all()
        if not is_ended:
            return None
        columns = np.ascontiguousarray(by_line.T)
        return cls(data, list(map(Field, columns[::2], columns[1::2])), line_ends)

    def __len__(self) -> int:
        return len(self.line_ends)

    def texts(self, field: Field, lines: NDArray[np.int64]) -> list[bytes]:
        """The field's bytes in these lines."""
        bounds = zip(field.starts[lines].tolist(), field.ends[lines].tolist(), strict=True)
        return [self._data[start:end] for start, end in bounds]

    def joined(self, field: Field) -> tuple[bytes, NDArray[np.int64]]:
        """The field's bytes in all lines, each followed by a space; and where each begins, and the end."""
        lengths = field.lengths + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(field.starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        codes = self._codes.take(places)
        codes[offsets[1:] - 1] = _WHITE[0]
        return codes.tobytes(), offsets

    def changes(self, field: Field) -> NDArray[np.int64] | None:
        """The lines whose field is not that of the line before; the first is one. None for longer fields."""
        lengths = field.lengths
        if lengths.max() > LONGEST:
            return None
        is_same = lengths[1:] == lengths[:-1]
        for at in range(int(lengths.max())):
            codes = self.bytes_at(field.starts + at)
            is_same &= (codes[1:] == codes[:-1]) | (lengths[1:] <= at)
        return np.flatnonzero(np.concatenate([[True], ~is_same]))

    def numbers(self, field: Field, *, is_whole: bool = False) -> Numbers:
        """The field as numbers: the same floats as Python reads. Where they are to be whole, one with a point is odd."""
        lengths = field.lengths
        mantissas = np.zeros(len(self), dtype=np.int64)
        digits, points, decimals = (np.zeros(len(self), dtype=np.int8) for _ in range(3))
        is_odd = lengths > LONGEST
        for at in range(min(int(lengths.max()), MOST_DIGITS + 2)):
            codes = self.bytes_at(field.starts + at)
            is_inside = lengths > at
            is_digit = is_inside & (codes - np.uint8(_ZERO) < 10)
            is_point = is_inside & (codes == _POINT)
            is_sign = (codes == _MINUS) & (at == 0)
            is_odd |= is_inside & ~(is_digit | is_point | is_sign)
            mantissas = np.where(is_digit, 10 * mantissas + codes - _ZERO, mantissas)
            digits += is_digit
            decimals += is_digit & (points > 0)
            points += is_point
        is_odd |= (
            (lengths > MOST_DIGITS + 2)
            | (digits > MOST_DIGITS)
            | (digits == 0)
            | (points > (not is_whole))
        )
        values = mantissas / _POWERS.take(decimals, mode="clip")
        is_negative = self.bytes_at(field.starts) == _MINUS
        return Numbers(np.where(is_negative, -values, values), is_odd)

    def bytes_at(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bytes at these places; the last for those beyond the end."""
        return self._codes.take(places, mode="clip")
