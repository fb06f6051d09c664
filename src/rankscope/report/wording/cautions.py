"""Cautions beside a verdict, in words: how few queries carry it, and what unseen queries could change."""

from math import ceil

from rankscope.core.judged.comparisons import JudgedDifference, Verdict
from rankscope.core.words import counted

FRAGILITY = "Fragility: how many of these queries would take the verdict away if they had the worst possible difference."


def figure(fragility: int | None) -> str:
    """The fragility in digits; a dash where there is none."""
    return "\u2013" if fragility is None else f"{fragility:,}"


def detectable(difference: float | None, span: float | None, digits: int) -> str:
    """The minimum detectable effect in digits; "none" where it is larger than any difference the measure allows."""
    if difference is None:
        return "\u2013"
    return "none" if is_beyond(difference, span) else f"{difference:.{digits}f}"


def is_beyond(difference: float, span: float | None) -> bool:
    """Whether a difference is larger than any that the measure allows; False where it has no bounds."""
    return span is not None and difference > span


def carried(judged: JudgedDifference) -> str:
    """How few queries carry a verdict, in words; empty where the fragility is not known."""
    n = judged.fragility
    if n is None:
        return ""
    few = {1: "a single query", 2: "two queries"}.get(n, f"{n:,} queries")
    return f"{few} with the worst possible difference would take the verdict away"


def unseen(judged: JudgedDifference) -> str:
    """A sentence on queries outside the sample where nearly all have the same difference; empty in other cases."""
    share = judged.unseen_share
    if share is None:
        return ""
    if judged.verdict is Verdict.CANNOT_TELL:
        return f"{_differing(judged)}: {_left_open(judged)}."
    ruled_out = f"rule out that more than {_percent(share)} of all"
    if not judged.n_differing:
        n = counted(judged.n_groups, *(("group",) if _has_groups(judged) else ("query", "queries")))
        return f"No query differs; {n} {ruled_out} differ."
    return f"{_differing(judged)}; they {ruled_out} are of a kind not seen here."


def _differing(judged: JudgedDifference) -> str:
    n, n_differing = judged.n_queries, judged.n_differing
    if _has_groups(judged) and n_differing:
        return (
            f"The mean difference is the same in nearly all of {counted(judged.n_groups, 'group')}"
        )
    if 2 * n_differing < n:
        return f"The two differ in {n_differing} of {counted(n, 'query', 'queries')}"
    if judged.effect_size is not None:
        almost = "both" if n == 2 else f"nearly all of {n:,}"
        return f"The difference is the same in {almost} queries, or nearly so"
    return f"The difference is the same in {'both' if n == 2 else f'all {n:,}'} queries"


def _left_open(judged: JudgedDifference) -> str:
    """What queries outside the sample could change, in words."""
    if not judged.interval.is_known:
        return "in a measure without bounds, what the sample has not seen could be of any size"
    if judged.margin is None and not judged.n_differing:
        return "only against a margin could they be shown to be equivalent"
    if judged.margin is not None and abs(judged.difference) < judged.margin:
        return "what the sample has not seen could be larger than the margin"
    return "what the sample has not seen could undo it"


def _has_groups(judged: JudgedDifference) -> bool:
    return judged.n_groups != judged.n_queries


def _percent(share: float) -> str:
    """The share in percent, rounded up so that the statement stays true."""
    power = 10 if share >= 0.01 else 1000
    return f"{ceil(100 * share * power - 1e-9) / power:g}\u00a0%"
