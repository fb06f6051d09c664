"""How few queries carry a verdict: the fragility of better, worse and equivalent.

Fragility is the number of the sample's queries that take the verdict away when their differences are replaced by the
worst that the measure allows, while all other comparisons stay as they are. It is exact where it is 1 (in samples of up
to 2,000 queries), and an upper bound where it is larger. A verdict of fragility 1 could have been changed by a single
further query of a kind that the sample does not hold. No test can see such a query, so the report shows the fragility
beside the verdict.
"""

from collections.abc import Callable, Iterator

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
    order = list(_order(sign * (sample.differences - bound), sign * (worst - bound)))

    def stands_without(n: int) -> bool:
        changed = sample.differences.copy()
        changed[order[:n]] = worst
        return bool(stands(changed[None])[0])

    low, high = 0, 1
    while stands_without(high):
        if high == len(order):
            return None
        low, high = high, min(2 * high, len(order))
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
    """Places of the values; the next is always the one whose replacement by the worst leaves the smallest t."""
    left = np.ones(len(values), dtype=bool)
    total, squares = values.sum(), (values**2).sum()
    for _ in range(len(values)):
        sums = total - values + worst
        of_squares = squares - values**2 + worst**2
        with np.errstate(divide="ignore", invalid="ignore"):
            like_t = np.where(left, sums * np.abs(sums) / of_squares, np.inf)
        place = int(np.nanargmin(like_t))
        left[place] = False
        total, squares = sums[place], of_squares[place]
        yield place
