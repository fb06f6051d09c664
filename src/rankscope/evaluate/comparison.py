"""Two rankers on the same queries: difference, interval, effect size, p-values.

Pairs by query_id, never by position. The tests are scipy's and statsmodels'; ours is only the
case they leave open: a difference that is the same for every query has no spread to test against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from rankscope.core.errors import BadInput

SAME = 1e-12  # spread under which differences are equal up to rounding


@dataclass(frozen=True)
class Comparison:
    """System minus baseline over the same queries; `interval` is a t interval of the mean."""

    n_queries: int
    difference: float
    interval: tuple[float, float]
    effect_size: float | None
    """Mean of the paired differences over their standard deviation; None without spread."""
    sd: float
    p_value: float
    """Two-sided paired t-test."""
    equivalence_p: float | None
    """TOST against the margin (the larger of two one-sided paired t-tests); None without one."""


def compared(
    system: Mapping[str, float],
    baseline: Mapping[str, float],
    *,
    margin: float | None = None,
    significance_level: float = 0.05,
) -> Comparison:
    """The paired comparison of two rankers' per-query values.

    Raises BadInput if the two do not cover the same queries, or fewer than two.
    """
    if system.keys() != baseline.keys():
        only = sorted(system.keys() ^ baseline.keys())
        raise BadInput(
            f"Two runs can be compared over the same queries only: {len(only)} stand in one of "
            f"them (first: {only[0]}). Measure both with the same qrels."
        )
    if len(system) < 2:
        raise BadInput(f"A comparison needs at least 2 judged queries, found {len(system)}.")
    queries = sorted(system)
    a, b = (np.array([values[query] for query in queries]) for values in (system, baseline))
    differences = a - b
    mean, sd, n = float(differences.mean()), float(differences.std(ddof=1)), len(queries)
    if sd <= SAME:
        inside = None if margin is None else float(abs(mean) >= margin)
        return Comparison(n, mean, (mean, mean), None, 0.0, float(abs(mean) <= SAME), inside)
    half = float(stats.t.ppf(1 - significance_level / 2, n - 1)) * sd / n**0.5
    return Comparison(
        n_queries=n,
        difference=mean,
        interval=(mean - half, mean + half),
        effect_size=mean / sd,
        sd=sd,
        p_value=float(stats.ttest_rel(a, b).pvalue),
        equivalence_p=None if margin is None else float(ttost_paired(a, b, -margin, margin)[0]),
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm-corrected p-values, in the same order; None stays None and does not count."""
    known = [p for p in p_values if p is not None]
    corrected = iter(multipletests(known, method="holm")[1] if known else [])
    return [None if p is None else float(next(corrected)) for p in p_values]
