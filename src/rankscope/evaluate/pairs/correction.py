"""p-values corrected over a family of comparisons, and the level that is left for one of them."""

from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats

from rankscope.core.errors import BadInput, choose

CORRECTIONS = dict.fromkeys(("holm", "benjamini_hochberg", "bonferroni", "none"))
"""The corrections, by name."""


class PValues(NamedTuple):
    """The p-values of one comparison that decide its verdict."""

    difference: float
    equivalence: float | None


def corrected(
    p_values: Sequence[float | None], *, method: str = "holm", family_size: int | None = None
) -> list[float | None]:
    """Corrected p-values, in the same order; None stays None and does not count.

    A family that is declared larger than the p-values here is filled up with p-values of 1.
    """
    choose(CORRECTIONS, method, what="correction")
    known = [p for p in p_values if p is not None]
    size = _size(len(known), family_size)
    if method == "holm":
        steps = corrected_together([PValues(p, None) for p in known], family_size=size)
        of_known = iter([p for p, _ in steps])
    elif method == "benjamini_hochberg":
        filled = [*known, *[1.0] * (size - len(known))]
        of_known = iter(stats.false_discovery_control(filled).tolist() if filled else [])
    else:
        of_known = iter(known if method == "none" else [min(1.0, size * p) for p in known])
    return [None if p is None else next(of_known) for p in p_values]


def corrected_together(
    family: Sequence[PValues], *, method: str = "holm", family_size: int | None = None
) -> list[PValues]:
    """Both tests of every comparison, corrected so that the family-wise error rate of verdicts is at most the level.

    This is Holm's procedure with Shaffer's counting (1986): for one comparison "no difference" and "a difference of
    at least the margin" cannot both be true, so a comparison counts once, until all its tests are passed.
    Without margins this is Holm's correction. The other corrections treat the two kinds of tests as separate
    families: Bonferroni needs no more, and Benjamini-Hochberg controls the rate of each.
    """
    if method != "holm":
        apart = [
            corrected([tests[kind] for tests in family], method=method, family_size=family_size)
            for kind in (0, 1)
        ]
        return [PValues(p or 0.0, q) for p, q in zip(*apart, strict=True)]
    left, waiting = _size(len(family), family_size), [2 - tests.count(None) for tests in family]
    corrected_tests: list[list[float | None]] = [[None, None] for _ in family]
    highest = 0.0
    for p, at, kind in _in_order(family):
        highest = max(highest, min(1.0, left * p))
        corrected_tests[at][kind] = highest
        waiting[at] -= 1
        left -= not waiting[at]
    return [PValues(p or 0.0, q) for p, q in corrected_tests]


def times(size: int, p_value: float | None) -> float | None:
    """Bonferroni's p-value of one test among `size`; None for None."""
    return None if p_value is None else min(1.0, size * p_value)


def levels_left(
    family: Sequence[PValues], at: int, *, level: float, method: str, family_size: int | None = None
) -> PValues:
    """The level with which each test of one comparison is compared, given the p-values of the others.

    A test passes if its uncorrected p-value is below it.
    """
    size = family_size or len(family)
    others = [tests for place, tests in enumerate(family) if place != at]
    if method == "none":
        return PValues(level, level)
    n_equivalences = family_size or sum(q is not None for _, q in family) or 1
    if method == "bonferroni":
        return PValues(level / size, level / n_equivalences)
    if method == "benjamini_hochberg":
        of_p = _step_up([p for p, _ in others], level, size)
        of_q = _step_up([q for _, q in others if q is not None], level, n_equivalences)
        return PValues(of_p, of_q)
    left, waiting = size, [2 - tests.count(None) for tests in others]
    for p, place, _ in _in_order(others):
        if p >= level / left:
            break
        waiting[place] -= 1
        left -= not waiting[place]
    return PValues(level / left, level / left)


def _size(made: int, declared: int | None) -> int:
    if declared is not None and declared < made:
        raise BadInput(
            f"The family is declared to have {declared} comparisons, but {made} are made. Declare all "
            "of them."
        )
    return declared or made


def _in_order(family: Sequence[PValues]) -> list[tuple[float, int, int]]:
    """Every p-value with its comparison and its kind, the smallest first."""
    return sorted(
        (p, at, kind)
        for at, tests in enumerate(family)
        for kind, p in enumerate(tests)
        if p is not None
    )


def _step_up(others: Sequence[float], level: float, size: int) -> float:
    """The largest p-value that the Benjamini-Hochberg procedure would pass, given the others."""
    for rank in range(len(others) + 1, 0, -1):
        limit = level * rank / size
        if sum(p < limit for p in others) >= rank - 1:
            return limit
    return level / size
