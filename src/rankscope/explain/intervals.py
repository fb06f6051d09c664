"""BCa bootstrap intervals over examples (scipy's), for means and for ratios of sums."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from rankscope.core.judged.plain import Estimate

ROUNDING = 1e-12
"""Values that differ by a smaller share of their size count as equal."""


def mean_interval(values: Tensor, *, level: float = 0.95, seed: int = 0) -> Estimate:
    """The mean of values, (examples,); the interval of equal values has width 0."""
    given = values.double().numpy()
    mean = float(given.mean())
    if len(given) < 2 or given.max() - given.min() <= ROUNDING * abs(given).max():
        return Estimate(mean, mean, mean)
    interval = stats.bootstrap(
        (given,), lambda x, axis: x.mean(axis), confidence_level=level, rng=seed
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def ratio_interval(
    parts: Tensor, wholes: Tensor, *, level: float = 0.95, seed: int = 0
) -> Estimate | None:
    """The sum of the parts over the sum of the wholes, (examples,) each, not negative; None where all wholes are 0.

    Examples whose whole is 0 are left out.
    """
    has_any = wholes > 0
    part, over = (numbers[has_any].double().numpy() for numbers in (parts, wholes))
    if not len(part):
        return None
    ratio = float(part.sum() / over.sum())
    off = part - ratio * over
    if len(part) < 2 or abs(off).max() <= ROUNDING * over.max():
        return Estimate(ratio, ratio, ratio)

    def ratios(x: NDArray[np.float64], y: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        quotients: NDArray[np.float64] = x.sum(axis) / y.sum(axis)
        return quotients

    interval = stats.bootstrap(
        (part, over), ratios, paired=True, confidence_level=level, rng=seed
    ).confidence_interval
    return Estimate(ratio, float(interval.low), float(interval.high))
