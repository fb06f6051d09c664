"""Others' conclusions, held against what the comparisons of a study show."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankscope.report import pooled
from rankscope.report.pooled import PooledRow
from rankscope.report.sections import (
    Compared,
    StoredResults,
    comparisons,
    interval,
    place,
    signed,
)

TURNED = {"better": "worse", "worse": "better"}
SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "cannot be judged"
WITHOUT_MARGIN = f"{OPEN}, for want of a margin"


@dataclass(frozen=True)
class Claim:
    """A conclusion, whether this study bears it out, and each comparison it speaks of in words."""

    claim: str
    source: str
    outcome: str
    evidence: tuple[str, ...]
    pooled_outcome: str = ""
    """Whether the verdicts over all tests bear it out; empty where it speaks of one test."""
    pooled: tuple[str, ...] = ()
    """Each of them in words."""


@dataclass(frozen=True)
class Shown:
    """What one comparison shows, each by a corrected test of its own; several may hold at once."""

    direction: str | None
    """better or worse; None where no difference is shown."""
    has_margin: bool
    is_within: bool
    """Whether the difference is shown to be smaller than the margin."""
    is_beyond: bool | None
    """Whether it is shown to be larger, in the direction shown; None where that was not tested."""

    @property
    def in_words(self) -> str:
        """The direction, and what is known of the size; of neither, what that leaves open."""
        if self.direction is None:
            within = "equivalent within the margin, but neither better nor worse is shown"
            return within if self.is_within else "cannot tell"
        if self.is_within:
            return f"{self.direction}, though by less than the margin"
        if self.is_beyond:
            return f"{self.direction}, by more than the margin"
        if not self.has_margin:
            return self.direction
        lacking = "tested" if self.is_beyond is None else "shown"
        return f"{self.direction}, but whether by more than the margin was not {lacking}"


def claims(results: StoredResults) -> list[Claim]:
    """Every claim of the study file, in its order.

    A comparison supports a claim where it shows what is claimed, contradicts it where it shows that to be
    false, and else leaves it open (`judged`). One contradiction contradicts the whole; with none, what
    could be judged decides.
    """
    return [_judged(claim, results) for claim in results.evaluation.get("claims", ())]


def judged(claimed: str, shown: Shown) -> str:
    """Whether what is shown supports a verdict that somebody claimed, contradicts it, or leaves it open.

    "Worse" and "better" say nothing of size: a difference in that direction supports them, also one within
    the margin; one in the other direction contradicts them; equivalence alone does neither.
    "Equivalent" speaks of the margin: a difference that is not zero contradicts it only where it is shown
    to be larger than the margin. Without a margin it says nothing that could be shown.
    """
    if claimed == "equivalent":
        if shown.is_within:
            return SUPPORTED
        return CONTRADICTED if shown.is_beyond else OPEN if shown.has_margin else WITHOUT_MARGIN
    if shown.direction is None:
        return OPEN
    return SUPPORTED if shown.direction == claimed else CONTRADICTED


def _judged(claim: Mapping[str, Any], results: StoredResults) -> Claim:
    level = results.evaluation["significance_level"]
    outcomes, evidence = Counter[str](), []
    over_tests, in_words = Counter[str](), []
    rows: list[Compared | PooledRow] = [*comparisons(results), *pooled.rows(results)]
    for row in rows:
        if row.measure != claim["measure"]:
            continue
        for system in claim["systems"]:
            found = _found(row, system, claim["baseline"], level)
            if found is None:
                continue
            shown, difference = found
            outcome = judged(claim["verdict"], shown)
            said = f"{system} against {claim['baseline']}: {shown.in_words} ({row.measure} {signed(difference)}"
            if isinstance(row, PooledRow):
                over_tests[outcome] += 1
                in_words.append(_over_tests(row, said, difference, results) + f", {outcome}")
            else:
                outcomes[outcome] += 1
                evidence.append(f"{place(row.group, results)}, {said}), {outcome}")
    return Claim(
        claim["claim"],
        claim["source"] or "",
        _whole(outcomes),
        tuple(evidence),
        _whole(over_tests) if over_tests else "",
        tuple(in_words),
    )


def _over_tests(row: PooledRow, said: str, difference: float, results: StoredResults) -> str:
    """A pooled verdict with its interval, the way round that the claim has it."""
    ends = row.ends if difference == row.difference else row.turned_ends
    few = f"; {pooled.TWO_TESTS[0].lower()}{pooled.TWO_TESTS[1:-1]}" if row.n_tests == 2 else ""
    return f"{row.places}, {said}, {interval(results)} {ends}; {row.between}{few})"


def _found(
    row: Compared | PooledRow, system: str, baseline: str, level: float
) -> tuple[Shown, float] | None:
    """What is shown of the system against the baseline, and by how much, whichever way round was compared."""
    shown = _shown(row, level)
    if (row.system, row.baseline) == (system, baseline):
        return shown, row.difference
    if (row.system, row.baseline) == (baseline, system):
        turned = TURNED.get(shown.direction or "")
        return Shown(turned, shown.has_margin, shown.is_within, shown.is_beyond), -row.difference
    return None


def _shown(row: Compared | PooledRow, level: float) -> Shown:
    def is_shown(p_value: float | None) -> bool:
        return p_value is not None and p_value < level

    different = is_shown(row.corrected_p)
    beyond = row.corrected_beyond_margin_p
    return Shown(
        direction=("better" if row.difference > 0 else "worse") if different else None,
        has_margin=row.margin is not None,
        is_within=is_shown(row.corrected_equivalence_p),
        is_beyond=None if beyond is None else different and is_shown(beyond),
    )


def _whole(outcomes: Counter[str]) -> str:
    n = outcomes.total()
    if outcomes[CONTRADICTED]:
        return f"{CONTRADICTED} in {outcomes[CONTRADICTED]} of {n} comparisons"
    if outcomes[WITHOUT_MARGIN] == n > 0:
        return WITHOUT_MARGIN
    if 0 < outcomes[SUPPORTED] < n:
        return (
            f"{SUPPORTED} in {outcomes[SUPPORTED]} of {n} comparisons; the others cannot be judged"
        )
    return SUPPORTED if outcomes[SUPPORTED] else OPEN
