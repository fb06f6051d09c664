"""Verdicts (better, worse, equivalent, cannot tell) and the power that these queries had.

The family is all comparisons that are judged together (and those declared beside them, `family_size`).
Its difference tests and its equivalence tests are corrected together (`correction`), so that the rate of any false
verdict is at most the level. A difference that is shown to be smaller than the stated margin is "equivalent" even where
it is also shown not to be zero: the user said that smaller differences do not matter. "Not significant" alone is never
"equivalent"; it is "cannot tell".

**Power** is computed at the smallest level that the correction may leave for one test (the level over the family's
size), so the actual power is at least as high. It is never computed from the observed difference, which adds nothing
to the p-value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypedDict

import numpy as np
from scipy import special

from rankscope.core.judged.comparisons import JudgedDifference, Verdict
from rankscope.evaluate.arrays import Bools, Floats
from rankscope.evaluate.pairs.comparison import Comparison, Sample
from rankscope.evaluate.pairs.correction import (
    PValues,
    corrected,
    corrected_together,
    levels_left,
    times,
)
from rankscope.evaluate.pairs.evidence import unseen_share
from rankscope.evaluate.pairs.fragility import replaced_until
from rankscope.evaluate.pairs.power import queries_needed, smallest_detectable


@dataclass(frozen=True)
class Judged:
    """A comparison with its corrected p-values and its verdict."""

    comparison: Comparison
    corrected_p: float
    corrected_equivalence_p: float | None
    corrected_non_inferiority_p: float | None
    corrected_beyond_margin_p: float | None
    verdict: Verdict
    fragility: int | None
    """How many queries would take the verdict away if they had the worst possible difference (`fragility`);
    None for "cannot tell", and for a measure without bounds."""
    unseen_share: float | None
    """Where nearly all differences are the same: the largest share of all queries that could differ from them
    without one in the sample, at the level over the family's size. None where the spread over queries is
    informative."""
    smallest_detectable: float | None
    """The minimum detectable effect: the true difference that is detectable with 80 % power at the level over the
    family's size. None where the differences have no spread, or only a few queries make it."""
    queries_needed: int | None
    """How many queries detect a true difference as large as the margin with 80 % power; None without a margin, and
    where more queries alone would not do."""


class FamilyCorrection(TypedDict):
    """How the verdicts of a family are corrected."""

    significance_level: float
    correction: str
    family_size: int | None
    """How many comparisons were declared; None for as many as are made."""


def recorded(judged: Judged) -> JudgedDifference:
    """The record that is stored and shown: each field is the attribute of that name, here or of the comparison.

    The margin is an exception: it is stored in units of the measure.
    """
    comparison = judged.comparison
    values = {
        field.name: getattr(judged if hasattr(judged, field.name) else comparison, field.name)
        for field in fields(JudgedDifference)
    }
    return JudgedDifference(**values | {"margin": comparison.absolute_margin})


def pairs(systems: Sequence[str], baselines: Sequence[str]) -> list[tuple[str, str]]:
    """(system, baseline) for every system and baseline, each two systems once.

    Where both of two systems are baselines, the one that comes first among the baselines is the baseline.
    """
    seen: set[frozenset[str]] = set()
    name_pairs = []
    for baseline in (name for name in baselines if name in systems):
        for system in systems:
            if system != baseline and frozenset((system, baseline)) not in seen:
                seen.add(frozenset((system, baseline)))
                name_pairs.append((system, baseline))
    return name_pairs


def judged(
    family: Sequence[Comparison],
    *,
    significance_level: float = 0.05,
    correction: str = "holm",
    family_size: int | None = None,
) -> list[Judged]:
    """A verdict for every comparison of one family, in the same order."""
    tests = [PValues(comparison.p_value, comparison.equivalence_p) for comparison in family]
    both = corrected_together(tests, method=correction, family_size=family_size)
    non_inferiority = corrected(
        [comparison.non_inferiority_p for comparison in family],
        method=correction, family_size=family_size,
    )  # fmt: skip
    size = 1 if correction == "none" else family_size or len(family)
    level = significance_level / max(size, 1)
    verdicts = []
    for at, (comparison, (p, q), r) in enumerate(zip(family, both, non_inferiority, strict=True)):
        verdict = verdict_of(comparison.difference, p, q, significance_level)
        left = levels_left(
            tests, at, level=significance_level, method=correction, family_size=family_size
        )
        unseen = unseen_share(comparison.n_groups, level) if comparison.is_few else None
        verdicts.append(
            Judged(
                comparison,
                corrected_p=p,
                corrected_equivalence_p=q,
                corrected_non_inferiority_p=r,
                corrected_beyond_margin_p=times(size, comparison.beyond_margin_p),
                verdict=verdict,
                fragility=_fragility(comparison, verdict, left),
                unseen_share=unseen,
                smallest_detectable=smallest_detectable(comparison, level),
                queries_needed=queries_needed(comparison, level),
            )
        )
    return verdicts


def verdicts_of(family: Sequence[Comparison], terms: FamilyCorrection) -> list[Verdict]:
    """The verdicts alone, as `judged` gives them; fragility takes most of its time."""
    tests = [PValues(comparison.p_value, comparison.equivalence_p) for comparison in family]
    both = corrected_together(tests, method=terms["correction"], family_size=terms["family_size"])
    return [
        verdict_of(comparison.difference, p, q, terms["significance_level"])
        for comparison, (p, q) in zip(family, both, strict=True)
    ]


def verdict_of(difference: float, p: float, q: float | None, level: float) -> Verdict:
    """The verdict by the corrected p-values of the difference test (p) and of the equivalence test (q)."""
    if q is not None and q < level:
        return Verdict.EQUIVALENT
    if p < level:
        return Verdict.BETTER if difference > 0 else Verdict.WORSE
    return Verdict.CANNOT_TELL


# -- fragility -----------------------------------------------------------------------------------


def _fragility(comparison: Comparison, verdict: Verdict, left: PValues) -> int | None:
    """The fragility of the verdict, at the levels that the correction leaves for its tests."""
    sample, margin = comparison.sample, comparison.absolute_margin or 0.0
    if verdict is Verdict.CANNOT_TELL:
        return None
    if verdict is Verdict.EQUIVALENT:
        sides = [
            replaced_until(
                sample,
                lambda rows: _is_equivalent(sample, rows, left),
                -sign * margin,
                downwards=sign > 0,
                critical=_critical(sample, left.equivalence),
            )
            for sign in (1.0, -1.0)
        ]
        return min((side for side in sides if side is not None), default=None)
    sign = 1.0 if verdict is Verdict.BETTER else -1.0
    return replaced_until(
        sample,
        lambda rows: _differs(sample, rows, sign, left),
        0.0,
        downwards=sign > 0,
        critical=_critical(sample, left.difference and left.difference / 2),
    )


def _critical(sample: Sample, level: float | None) -> float:
    """Student's t of one tail at a level, near which a verdict ends; 0 where no level is left."""
    n = len(sample.differences)
    return -float(special.stdtrit(n - 1, level)) if level and n > 1 else 0.0


def _is_equivalent(sample: Sample, rows: Floats, left: PValues) -> Bools:
    limit = left.equivalence or 0.0
    return np.asarray(sample.evidence(rows).equivalence < limit)


def _differs(sample: Sample, rows: Floats, sign: float, left: PValues) -> Bools:
    """Whether the difference is still significant in its direction, and not shown to be within the margin."""
    tested = sample.evidence(rows)
    is_shown = (tested.difference.two_sided() < left.difference) & (
        sign * tested.difference.mean > 0
    )
    return np.asarray(is_shown & ~(tested.equivalence < (left.equivalence or 0.0)))
