"""How few queries carry a verdict: the fragility of better, worse and equivalent.

Fragility is the number of the sample's queries that take the verdict away when their differences are replaced by the
worst that the measure allows, while all other comparisons stay as they are. It is exact where it is 1 (in samples of up
to 2,000 queries), and an upper bound where it is larger. A verdict of fragility 1 could have been changed by a single
further query of a kind that the sample does not hold. No test can see such a query, so the report shows the fragility
beside the verdict.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from rankscope.evaluate.arrays import Floats
from rankscope.evaluate.pairs.comparison import Sample

LARGE, AT_ONCE = 2_000, 250
"""The number of queries above which single queries are not tried one by one; how many are tried at once."""

Stands = Callable[[Floats], "np.ndarray[tuple[int], np.dtype[np.bool_]]"]
"""Samples, (samples, queries), to whether the verdict still holds in each."""


def replaced_until(sample: Sample, stands: Stands, bound: float, *, downwards: bool) -> int | None:
    """How many differences, replaced by the worst one, take a verdict away; None for a measure without bounds.

    bound: the mean is shown to be above it (below it, if not `downwards`). Queries are replaced in the order
    that lowers t against the bound fastest; the number is found by doubling and bisection.
    """
    if sample.span is None:
        return None
    sign = 1.0 if downwards else -1.0
    worst = -sign * sample.span
    rest = _order(sign * (sample.differences - bound), sign * (worst - bound))
    order: list[int] = []
    n_queries = len(sample.differences)

    def stands_without(n: int) -> bool:
        order.extend(islice(rest, n - len(order)) if n > len(order) else ())
        changed = sample.differences.copy()
        changed[order[:n]] = worst
        return bool(stands(changed[None])[0])

    low, high = 0, 1
    while stands_without(high):
        if high == n_queries:
            return None
        low, high = high, min(2 * high, n_queries)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if stands_without(middle) else (low, middle)
    return 1 if high > 1 and _is_undone_by_one(sample, stands, worst) else high


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


def _order(values: Floats, worst: float) -> Iterator[int]:
    """Places of the values; the next is always the one whose replacement by the worst leaves the smallest t.

    As a function of the value, t's square with its sign has its derivative's sign from (value * sums - squares), where
    both include the worst: so the smallest t is at a neighbour of squares / sums, or at an end.
    """
    left = sorted(zip(values.tolist(), range(len(values)), strict=True))
    total, squares = float(values.sum()), float((values**2).sum())
    while left:
        sums, of_squares = total + worst, squares + worst**2
        turn = bisect_left(left, (of_squares / sums,)) if sums > 0 else 0
        chosen = min(
            (_like_t(sums - left[at][0], of_squares - left[at][0] ** 2), left[at][1], at)
            for at in {_first_like(left, at) for at in (0, turn - 1, turn, -1) if at < len(left)}
        )
        value, place = left.pop(chosen[-1])
        total, squares = sums - value, of_squares - value**2
        yield place


def _like_t(sums: float, of_squares: float) -> float:
    """t's square with its sign; the largest where nothing varies."""
    return sums * abs(sums) / of_squares if of_squares > 0 else math.inf


def _first_like(left: Sequence[tuple[float, int]], at: int) -> int:
    """Of the values that are equal to the one at a place, where the first stands."""
    return bisect_left(left, (left[at][0],))
