"""The two studies' own tests, with the warning that belongs to each.

Study A (arXiv 2505.07166): a base and a tuned model answer the same examples right or wrong; per
layer an *unpaired* two-sided t-test, Bonferroni over the layers of one panel. Study B (arXiv
2503.22672): paired two-sided t-tests per measure, *uncorrected*.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from rankscope.core.errors import BadInput
from rankscope.core.judged.plain import Interval
from rankscope.evaluate.arrays import SAME
from rankscope.evaluate.pairs.comparison import Comparison

STUDY_A_WARNING = (
    "As published (study A): an unpaired test on paired examples is too timid, examples that share a "
    "question make it too bold, and Bonferroni counts one panel's layers only. The two errors do not "
    "cancel; the sound tests are the default."
)
STUDY_B_WARNING = (
    "As published (study B): paired t-tests at the level each, uncorrected, so that of twenty "
    "comparisons without a difference one is a finding; and “not significant” was read as “on par”, which "
    "nothing here tests. The sound tests are the default."
)


@dataclass(frozen=True)
class Star:
    """One layer's test: tuned minus base, and whether the paper marks it."""

    difference: float
    p_value: float
    corrected_p: float
    is_significant: bool


def unpaired_stars(
    tuned: Sequence[npt.ArrayLike],
    base: Sequence[npt.ArrayLike],
    *,
    significance_level: float = 0.05,
) -> list[Star]:
    """Study A's test of each layer of one panel, from 0/1 vectors of right answers, a layer each."""
    if len(tuned) != len(base):
        raise BadInput(
            f"{len(tuned)} layers of the tuned model and {len(base)} of the base. Give the same layers."
        )
    stars = []
    for of_tuned, of_base in zip(tuned, base, strict=True):
        a, b = np.asarray(of_tuned, dtype=float), np.asarray(of_base, dtype=float)
        p = float(stats.ttest_ind(a, b).pvalue)
        corrected = min(1.0, p * len(tuned))
        stars.append(Star(float(a.mean() - b.mean()), p, corrected, corrected < significance_level))
    return stars


def paired_t(comparison: Comparison, *, significance_level: float = 0.05) -> Comparison:
    """Study B's test of a comparison, and its interval: t alone, blind to skewness and to what a sample has not seen."""
    error, freedom = comparison.standard_error, comparison.degrees_of_freedom
    half = float(stats.t.isf(significance_level / 2, freedom)) * error
    if error:
        p = float(2 * stats.t.sf(abs(comparison.difference) / error, freedom))
    else:
        p = float(abs(comparison.difference) <= SAME)
    return replace(
        comparison,
        p_value=p,
        interval=Interval(comparison.difference - half, comparison.difference + half),
        is_few=False,
        sample=replace(comparison.sample, span=None),  # so that no fragility is told
    )
