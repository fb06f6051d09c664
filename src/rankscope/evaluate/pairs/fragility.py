"""How few queries carry a verdict: the fragility of better, worse and equivalent.

Fragility is the number of the sample's queries that take the verdict away when their differences are replaced by the
worst that the measure allows, while all other comparisons stay as they are. It is exact where it is 1 (in samples of up
to 2,000 queries), and an upper bound where it is larger. A verdict of fragility 1 could have been changed by a single
further query of a kind that the sample does not hold. No test can see such a query, so the report shows the fragility
beside the verdict.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from rankscope.evaluate.arrays import Floats
from rankscope.evaluate.pairs.comparison import Sample

LARGE, AT_ONCE = 2_000, 250
"""The number of queries above which single queries are not tried one by one; how many are tried at once."""

Stands = Callable[[Floats], "np.ndarray[tuple[int], np.dtype[np.bool_]]"]
"""Samples, (samples, queries), to whether the verdict still holds in each."""


def replaced_until(
    sample: Sample, stands: Stands, bound: float, *, downwards: bool, critical: float
) -> int | None:
    """How many differences, replaced by the worst one, take a verdict away; None for a measure without bounds.

    bound: the mean is shown to be above it (below it, if not `downwards`), while t against it is about `critical` or more.
    Queries are replaced in the order that lowers t fastest.
    """
    if sample.span is None:
        return None
    sign = 1.0 if downwards else -1.0
    worst = -sign * sample.span
    replacements = _replacements(sign * (sample.differences - bound), sign * (worst - bound))
    order: list[int] = []
    for place, t in replacements:
        order.append(place)
        if t < critical:
            break

    def falls_without(n: int) -> bool:
        order.extend(place for place, _ in islice(replacements, max(0, n - len(order))))
        changed = sample.differences.copy()
        changed[order[:n]] = worst
        return not stands(changed[None])[0]

    found = _smallest(falls_without, guess=len(order), most=len(sample.differences))
    return 1 if found != 1 and _is_undone_by_one(sample, stands, worst) else found


def _smallest(holds: Callable[[int], bool], *, guess: int, most: int) -> int | None:
    """The smallest number from 1 to `most` from which on something holds; None where it does not hold at the most.

    It is looked for by doubling, then around a guess, and then by bisection.
    """
    low, high = 0, 1
    while not holds(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    for at in (guess, guess - 1, guess + 1):
        if low < at < high:
            low, high = (low, at) if holds(at) else (at, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _is_undone_by_one(sample: Sample, stands: Stands, worst: float) -> bool:
    """Whether a single replacement takes the verdict away, which `_order` may miss: it ignores skewness and groups."""
    n = len(sample.differences)
    if n > LARGE:
        return False
    places = np.argsort(np.abs(sample.differences - worst))[::-1]
    for start in range(0, n, AT_ONCE):
        chosen = places[start : start + AT_ONCE]
        rows = np.repeat(sample.differences[None], len(chosen), axis=0)
        rows[np.arange(len(chosen)), chosen] = worst
        if not stands(rows).all():
            return True
    return False


def _replacements(values: Floats, worst: float) -> Iterator[tuple[int, float]]:
    """(place, t then): the next value is always the one whose replacement by the worst leaves the smallest t.

    As a function of the value, the square of t with its sign has its derivative's sign from (value * sums - squares),
    where both include the worst. So the smallest t is at a neighbour of squares / sums, or, with sums below 0, at an
    end. Of equal values the first comes first.
    """
    places = np.argsort(values, kind="stable").tolist()
    left = np.sort(values).tolist()
    n, total, squares = len(left), float(values.sum()), float((values**2).sum())
    while left:
        sums, of_squares = total + worst, squares + worst**2
        if sums > 0:
            turn = bisect_left(left, of_squares / sums)
            ends = {max(turn - 1, 0), min(turn, len(left) - 1)}
        else:
            ends = {0, len(left) - 1}
        chosen = min(
            (_like_t(sums - left[at], of_squares - left[at] ** 2), places[at], at)
            for at in {bisect_left(left, left[at]) for at in ends}
        )
        at = chosen[-1]
        value, place = left.pop(at), places.pop(at)
        total, squares = sums - value, of_squares - value**2
        yield place, _t(total, squares, n)


def _like_t(sums: float, of_squares: float) -> float:
    """The square of t with its sign, but for constants; the largest where nothing varies."""
    return sums * abs(sums) / of_squares if of_squares > 0 else math.inf


def _t(total: float, squares: float, n: int) -> float:
    """Student's t of n values against 0, from their sum and the sum of their squares."""
    around = squares - total**2 / n
    if around <= 0 or n < 2:
        return math.copysign(math.inf, total)
    return total / math.sqrt(n * around / (n - 1))
