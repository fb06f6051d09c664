"""How few queries carry a verdict: the fragility of better, worse and equivalent.

How many of the sample's queries are enough whose difference, replaced by the worst the measure allows, takes
the verdict away, while all other comparisons stay as they are: the smallest number where it is 1 (in samples of up
to 2,000 queries), else at most what is told. A verdict of fragility 1 is one that a single
query more of a kind the sample does not hold could have turned; no test sees such a query, so this figure
is told beside the verdict.
"""

from collections.abc import Callable, Iterator

import numpy as np

from rankscope.evaluate.pairs.comparison import Sample
from rankscope.evaluate.pairs.evidence import Floats

LARGE, AT_ONCE = 2_000, 250
"""Queries beyond which no single one is tried by itself; how many are tried at once."""

Stands = Callable[[Floats], "np.ndarray[tuple[int], np.dtype[np.bool_]]"]
"""Samples, (samples, queries), to whether the verdict still stands in each."""


def replaced_until(sample: Sample, stands: Stands, bound: float, *, downwards: bool) -> int | None:
    """How many differences, replaced by the worst one, take a verdict away; None without bounds.

    bound: what the mean is shown to be above (below, if not `downwards`). Queries are replaced in the order
    in which each lowers t against the bound most; the number that is enough is found by doubling and halving.
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
    """Whether any single difference, replaced, takes the verdict away: the order above knows no skewness, no groups."""
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
    """Places of the values, next that whose replacement by the worst leaves the smallest t."""
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
