"""The significance tests of the two studies as published, each with its warning.

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
    "As published (study A): an unpaired test on paired examples is conservative, examples that share a "
    "question make it liberal, and Bonferroni corrects for the layers of one panel only. The two errors do not "
    "cancel; the sound tests are the default."
)
STUDY_B_WARNING = (
    "As published (study B): paired t-tests without correction, so that about one in twenty comparisons without a "
    "true difference is significant; and “not significant” was read as “on par”, which these tests do not show. "
    "The sound tests are the default."
)


@dataclass(frozen=True)
class Star:
    """The test of one layer, tuned minus base, and whether the paper marks it as significant."""

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
    """Study A's test of each layer of one panel; `tuned` and `base` hold one 0/1 vector of right answers a layer."""
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
    """The comparison with study B's paired t-test and interval, which ignore skewness and unseen queries."""
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
        sample=replace(comparison.sample, span=None),  # without a span, no fragility is computed
    )
