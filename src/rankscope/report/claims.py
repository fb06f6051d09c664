"""Published conclusions, compared with the verdicts of a study."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rankscope.core.judged.comparisons import JudgedComparison, JudgedDifference, Verdict
from rankscope.core.judged.evaluation import Claimed, EvaluationRecord
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.report import pooled
from rankscope.report.stored import place_name
from rankscope.report.wording.numbers import signed
from rankscope.report.wording.verdicts import interval

TURNED = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
SUPPORTED, CONTRADICTED, OPEN = "supported", "contradicted", "cannot be judged"
WITHOUT_MARGIN = f"{OPEN}, for want of a margin"


@dataclass(frozen=True)
class Claim:
    """A published conclusion, whether this study supports it, and the comparisons that it is about, in words."""

    claim: str
    source: str
    outcome: str
    evidence: tuple[str, ...]
    pooled_outcome: str
    """Whether the verdicts over all tests support it; empty without such verdicts."""
    pooled: tuple[str, ...]
    """The verdicts over all tests, in words."""


@dataclass(frozen=True)
class ShownDifference:
    """What one comparison shows; each field rests on a corrected test of its own, and several may hold at once."""

    direction: Verdict | None
    """Better or worse; None where no difference is shown."""
    has_margin: bool
    is_within: bool
    """Whether the difference is shown to be smaller than the margin."""
    is_beyond: bool | None
    """Whether the difference is shown to exceed the margin, in its direction; None where that was not tested."""

    @property
    def turned(self) -> "ShownDifference":
        """The same for the baseline compared with the system."""
        return replace(self, direction=None if self.direction is None else TURNED[self.direction])

    @property
    def phrase(self) -> str:
        """The direction and the size of the difference, as far as they are shown, in words."""
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


def claims(evaluation: EvaluationRecord) -> list[Claim]:
    """Every claim of the study file, in its order.

    A comparison supports a claim where it shows what is claimed, contradicts it where it shows the claim to be
    false, and in all other cases leaves it open (`judged`). One contradiction contradicts the whole claim; without
    one, the comparisons that could be judged decide.
    """
    return [_judged(claim, evaluation) for claim in evaluation.claims]


def judged(claimed: Verdict, shown: ShownDifference) -> str:
    """Whether what is shown supports a verdict that somebody claimed, contradicts it, or leaves it open.

    "Worse" and "better" make no claim about size: a difference in that direction supports them, even one within
    the margin; a difference in the other direction contradicts them; equivalence alone does neither.
    "Equivalent" refers to the margin: a difference that is not zero contradicts it only where it is shown
    to be larger than the margin. Without a margin, it cannot be judged.
    """
    if claimed is Verdict.EQUIVALENT:
        if shown.is_within:
            return SUPPORTED
        return CONTRADICTED if shown.is_beyond else OPEN if shown.has_margin else WITHOUT_MARGIN
    if shown.direction is None:
        return OPEN
    return SUPPORTED if shown.direction is claimed else CONTRADICTED


def _judged(claimed: Claimed, evaluation: EvaluationRecord) -> Claim:
    level = evaluation.significance_level
    on_one_test = [
        (match, f"{place_name(row.place, evaluation)}, {_said(claimed, match)})")
        for row in evaluation.comparisons
        for match in _matches(claimed, row, row.judged, level)
    ]
    over_tests = [
        (match, _over_tests(claimed, match, row, evaluation))
        for row in evaluation.pooled
        for match in _matches(claimed, row, row, level)
    ]
    return Claim(
        claimed.claim,
        claimed.source or "",
        _whole(Counter(match.outcome for match, _ in on_one_test)),
        tuple(f"{words}, {match.outcome}" for match, words in on_one_test),
        _whole(Counter(match.outcome for match, _ in over_tests)) if over_tests else "",
        tuple(f"{words}, {match.outcome}" for match, words in over_tests),
    )


class Match(NamedTuple):
    """A system of a claim in a comparison, in the claim's direction."""

    system: str
    shown: ShownDifference
    difference: float
    is_turned: bool
    """Whether the system is the baseline of the comparison."""
    outcome: str


def _matches(
    claimed: Claimed,
    row: JudgedComparison | JudgedOverTests,
    statistics: JudgedDifference | JudgedOverTests,
    level: float,
) -> Iterator[Match]:
    """Every system of the claim that is compared here with the claim's baseline."""
    shown, pair = _shown(statistics, level), (row.system, row.baseline)
    for system in claimed.systems if row.measure == claimed.measure else ():
        if pair == (system, claimed.baseline):
            outcome = judged(claimed.verdict, shown)
            yield Match(system, shown, statistics.difference, False, outcome)
        elif pair == (claimed.baseline, system):
            outcome = judged(claimed.verdict, shown.turned)
            yield Match(system, shown.turned, -statistics.difference, True, outcome)


def _said(claimed: Claimed, match: Match) -> str:
    numbers = f"{claimed.measure} {signed(match.difference)}"
    return f"{match.system} against {claimed.baseline}: {match.shown.phrase} ({numbers}"


def _over_tests(
    claimed: Claimed, match: Match, row: JudgedOverTests, evaluation: EvaluationRecord
) -> str:
    """A verdict over tests in words, with its interval and the heterogeneity of the tests."""
    ends = pooled.ends(row.interval.turned if match.is_turned else row.interval)
    few = f"; {pooled.TWO_TESTS[0].lower()}{pooled.TWO_TESTS[1:-1]}" if row.n_tests == 2 else ""
    return (
        f"{pooled.places(row)}, {_said(claimed, match)}, {interval(evaluation)} {ends}; "
        f"{pooled.between(row)}{few})"
    )


def _shown(row: JudgedDifference | JudgedOverTests, level: float) -> ShownDifference:
    def is_shown(p_value: float | None) -> bool:
        return p_value is not None and p_value < level

    different = is_shown(row.corrected_p)
    beyond = row.corrected_beyond_margin_p
    direction = Verdict.BETTER if row.difference > 0 else Verdict.WORSE
    return ShownDifference(
        direction=direction if different else None,
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
