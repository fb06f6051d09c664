"""Better, worse, equivalent or cannot tell; and what this topic set could have shown.

The family is every comparison handed over together (and those declared beside them, `family_size`):
both its difference tests and its equivalence tests are corrected. A difference that is shown to be
smaller than the stated margin is "equivalent" even where it is also shown not to be zero: the margin is
what the user said matters. "Not significant" alone is never "equivalent"; it is "cannot tell".

**What could have been shown** is told at the level that is left for one test of the family (the level
over the family's size), so it is what the verdict rule sees at the least; never from the observed
difference, which says nothing that the p-value has not said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from rankscope.core.errors import BadInput, choose
from rankscope.evaluate.comparison import Comparison

POWER = 0.8
BEYOND_ANY_COLLECTION = 1e9


CORRECTIONS = {
    "holm": "holm",
    "benjamini_hochberg": "fdr_bh",
    "bonferroni": "bonferroni",
    "none": None,
}
"""Names of corrections, and statsmodels' names for them."""


class Verdict(StrEnum):
    """What a comparison may be said to show."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Judged:
    """A comparison with its corrected p-values and its verdict."""

    comparison: Comparison
    corrected_p: float
    corrected_equivalence_p: float | None
    corrected_non_inferiority_p: float | None
    verdict: Verdict
    smallest_detectable: float | None
    """The true difference shown in 80 % of cases, at the level over the family's size; None without
    spread."""
    queries_needed: int | None
    """So many queries would show, in 80 % of cases, a true difference as large as the margin (without
    one: as the observed difference); None where the answer is not one of queries."""


def pairs(systems: Sequence[str], baselines: Sequence[str]) -> list[tuple[str, str]]:
    """(system, baseline) for every system and baseline, each two systems once.

    With several baselines, the first of two that could be the baseline is it.
    """
    seen: set[frozenset[str]] = set()
    found = []
    for baseline in (name for name in baselines if name in systems):
        for system in systems:
            if system != baseline and frozenset((system, baseline)) not in seen:
                seen.add(frozenset((system, baseline)))
                found.append((system, baseline))
    return found


def corrected(
    p_values: Sequence[float | None], *, method: str = "holm", family_size: int | None = None
) -> list[float | None]:
    """Corrected p-values, in the same order; None stays None and does not count.

    A family declared larger than the p-values at hand is filled with tests that showed nothing.
    """
    statsmodels_name = choose(CORRECTIONS, method, what="correction")
    known = [p for p in p_values if p is not None]
    if family_size is not None and known and family_size < len(known):
        raise BadInput(
            f"The family is declared to have {family_size} comparisons, but {len(known)} are made. "
            "Declare all of them."
        )
    if statsmodels_name is None or not known:
        return list(p_values)
    filled = [*known, *[1.0] * ((family_size or len(known)) - len(known))]
    of_known = iter(multipletests(filled, method=statsmodels_name)[1])
    return [None if p is None else float(next(of_known)) for p in p_values]


def judged(
    family: Sequence[Comparison],
    *,
    significance_level: float = 0.05,
    correction: str = "holm",
    family_size: int | None = None,
) -> list[Judged]:
    """A verdict for every comparison of one family, in the same order."""

    def of_family(p_values: Sequence[float | None]) -> list[float | None]:
        return corrected(p_values, method=correction, family_size=family_size)

    difference = of_family([comparison.p_value for comparison in family])
    equivalence = of_family([comparison.equivalence_p for comparison in family])
    non_inferiority = of_family([comparison.non_inferiority_p for comparison in family])
    size = 1 if correction == "none" else family_size or len(family)
    level = significance_level / max(size, 1)
    return [
        Judged(
            comparison,
            corrected_p=1.0 if p is None else p,
            corrected_equivalence_p=q,
            corrected_non_inferiority_p=r,
            verdict=_verdict(comparison.difference, p, q, significance_level),
            smallest_detectable=smallest_detectable(comparison, level),
            queries_needed=queries_needed(comparison, level),
        )
        for comparison, p, q, r in zip(
            family, difference, equivalence, non_inferiority, strict=True
        )
    ]


def _verdict(difference: float, p: float | None, q: float | None, level: float) -> Verdict:
    if q is not None and q < level:
        return Verdict.EQUIVALENT
    if p is not None and p < level:
        return Verdict.BETTER if difference > 0 else Verdict.WORSE
    return Verdict.CANNOT_TELL


# -- power ---------------------------------------------------------------------------------------


def smallest_detectable(comparison: Comparison, level: float) -> float | None:
    """The mean difference that a two-sided t-test at `level` shows with 80 % power; None without spread."""
    if comparison.standard_error == 0:
        return None
    return _noncentrality(comparison.degrees_of_freedom, level) * comparison.standard_error


@lru_cache(maxsize=65_536)
def _noncentrality(degrees_of_freedom: float, level: float) -> float:
    """How many standard errors a true difference must be for a two-sided t-test to show it.

    In 80 % of cases; that it is shown with the wrong sign is too rare to count (statsmodels' TTestPower
    counts it and gives the same to six digits).
    """
    critical = stats.t.isf(level / 2, degrees_of_freedom)
    return float(special.nctdtrinc(degrees_of_freedom, 1 - POWER, critical))


def queries_needed(comparison: Comparison, level: float) -> int | None:
    """How many queries show a difference as large as the margin (else: as observed) with 80 % power.

    None without spread or difference, beyond a thousand million queries, and where groups of queries or several seeds count: there more
    queries of the same kind are not the whole answer.
    """
    sought = comparison.absolute_margin or abs(comparison.difference)
    is_plain = comparison.n_groups == comparison.n_queries and max(comparison.n_seeds) == 1
    if comparison.sd == 0 or sought == 0 or not is_plain:
        return None
    effect = sought / comparison.sd
    z_level = float(stats.norm.isf(level / 2))
    of_normal = ((z_level + float(stats.norm.ppf(POWER))) / effect) ** 2
    if of_normal > BEYOND_ANY_COLLECTION:
        return None
    n = max(2, int(of_normal + z_level**2 / 2))  # the t test needs about so many more
    while n > 2 and effect * (n - 1) ** 0.5 >= _noncentrality(n - 2, level):
        n -= 1
    while effect * n**0.5 < _noncentrality(n - 1, level):
        n += 1
    return n
