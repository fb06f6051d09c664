"""Scores lowered so that none ties, as run files have them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LARGEST = np.finfo(np.float32).max
_MAGNITUDE = 0x7FFFFFFF
"""The bits of a float32 but its sign."""


def strictly_decreasing(
    scores: Sequence[float] | NDArray[np.float32],
) -> tuple[NDArray[np.float32], int | None]:
    """The scores of a ranking, best first, each as float32 under the one before; and the first that has none.

    A score above float32's largest is lowered to it. None is under float32's lowest; then what follows is void.
    """
    given = np.minimum(np.asarray(scores, dtype=np.float64), _LARGEST)
    with np.errstate(over="ignore", under="ignore"):
        rounded = given.astype(np.float32)
    # neighbours have neighbouring numbers, so the highest is the one before less 1, or the score's own
    count = np.arange(len(rounded))
    numbers = np.minimum.accumulate(_numbers(rounded) + count) - count
    void = np.flatnonzero(
        (given < -_LARGEST) | (numbers < _numbers(-np.array(_LARGEST, np.float32)))
    )
    lowered = _floats(np.maximum(numbers, -_MAGNITUDE))
    # a zero keeps its sign
    return np.where(lowered == rounded, rounded, lowered), int(void[0]) if len(void) else None


def _numbers(floats: NDArray[np.float32]) -> NDArray[np.int64]:
    """All float32 counted from 0, upward and downward."""
    bits = floats.view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & _MAGNITUDE))


def _floats(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = np.where(numbers >= 0, numbers, -numbers | ~_MAGNITUDE)
    return bits.astype(np.int32).view(np.float32)
