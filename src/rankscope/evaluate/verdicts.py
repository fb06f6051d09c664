"""Better, worse, equivalent or cannot tell; and what this topic set could have shown.

The family is every comparison handed over together: both its difference tests and its
equivalence tests are corrected by Holm. A difference that is shown to be smaller than the stated
margin is "equivalent" even where it is also shown not to be zero: the margin is what the user
said matters. "Not significant" alone is never "equivalent"; it is "cannot tell".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from statsmodels.stats.power import TTestPower

from rankscope.evaluate.comparison import Comparison, holm

POWER = 0.8


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
    verdict: Verdict
    smallest_detectable: float | None
    """The true difference these queries show in 80 % of cases, at the uncorrected level."""


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


def judged(family: Sequence[Comparison], *, significance_level: float = 0.05) -> list[Judged]:
    """A verdict for every comparison of one family, in the same order."""
    corrected = holm([comparison.p_value for comparison in family])
    equivalence = holm([comparison.equivalence_p for comparison in family])
    return [
        Judged(
            comparison,
            corrected_p=1.0 if p is None else p,
            corrected_equivalence_p=q,
            verdict=_verdict(comparison.difference, p, q, significance_level),
            smallest_detectable=smallest_detectable(comparison, significance_level),
        )
        for comparison, p, q in zip(family, corrected, equivalence, strict=True)
    ]


def _verdict(difference: float, p: float | None, q: float | None, level: float) -> Verdict:
    if q is not None and q < level:
        return Verdict.EQUIVALENT
    if p is not None and p < level:
        return Verdict.BETTER if difference > 0 else Verdict.WORSE
    return Verdict.CANNOT_TELL


def smallest_detectable(comparison: Comparison, significance_level: float) -> float | None:
    """The mean difference a two-sided paired t-test finds with 80 % power; None without spread."""
    if comparison.sd == 0:
        return None
    effect = TTestPower().solve_power(
        nobs=comparison.n_queries, alpha=significance_level, power=POWER
    )
    return float(effect) * comparison.sd
