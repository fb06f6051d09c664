"""Verdicts, tests, corrections and margins in words."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.evaluation import EvaluationRecord


@dataclass(frozen=True)
class Mark:
    """How a verdict is shown: never by colour alone."""

    symbol: str
    tex: str
    word: str


VERDICTS: Mapping[str, Mark] = {
    Verdict.BETTER: Mark("▲", r"\uparrow", "better"),
    Verdict.WORSE: Mark("▼", r"\downarrow", "worse"),
    Verdict.EQUIVALENT: Mark("≈", r"\approx", "equivalent"),
    Verdict.CANNOT_TELL: Mark("?", "?", "cannot tell"),
}

SOUND_TESTS = "Two-sided paired tests (t and Hall's transformation of it, the larger p-value)"
AS_PUBLISHED_TESTS = "Two-sided paired t-tests"
SEEDS_COUNT = (
    "The seeds' spread is part of the error: it is pooled over all trained systems; for two systems of one lineage, it "
    "is the spread of their differences seed by seed."
)
WITHOUT_MARGIN = ", and the number of queries needed is not known: state a margin"

CORRECTIONS = {
    "holm": "Holm-corrected",
    "benjamini_hochberg": "Benjamini-Hochberg-corrected",
    "bonferroni": "Bonferroni-corrected",
    "none": "not corrected",
}


def marked(verdict: str) -> str:
    """A verdict with its symbol."""
    return f"{VERDICTS[verdict].symbol} {verdict}"


def interval_name(level: float, correction: str) -> str:
    """The name of an interval beside verdicts: it is uncorrected, although verdicts are corrected over a family."""
    name = f"{100 * (1 - level):g}\u00a0% interval"
    return name if correction == "none" else f"uncorrected {name}"


UNCORRECTED = interval_name(0.05, "holm").replace("\u00a0", " ")
"""The name of the intervals beside verdicts on layers, neurons and heads, in tables."""


def interval(evaluation: EvaluationRecord) -> str:
    """The name of the intervals of an evaluation's comparisons."""
    return interval_name(evaluation.significance_level, evaluation.correction)


def caption(evaluation: EvaluationRecord) -> str:
    """The test, its correction, level and margin, in words."""
    if not evaluation.comparisons:
        return "Nothing was compared."
    correction = evaluation.correction
    over = CORRECTIONS.get(correction, f"corrected by {correction}")
    if correction != "none":
        over = f"{over} over all {evaluation.n_corrected_for} comparisons"
    seeds = f" {SEEDS_COUNT}" if evaluation.has_seeds else ""
    is_sound = evaluation.tests != "as_published"
    return (
        f"{SOUND_TESTS if is_sound else AS_PUBLISHED_TESTS} over queries, {over}, "
        f"level {evaluation.significance_level:g}.{seeds} {_margins(evaluation)} "
        "“Cannot tell” is not “equal”: neither a difference nor its absence was shown."
    )


def _margins(evaluation: EvaluationRecord) -> str:
    margins = evaluation.margin
    if evaluation.tests == "as_published":
        return "Study B has no margin, so nothing could be shown equivalent."
    if not margins:
        return f"No margin was stated, so nothing could be shown equivalent{WITHOUT_MARGIN}."
    stated = ", ".join(f"{measure} ±{_margin(margin)}" for measure, margin in margins.items())
    without = [measure for measure in evaluation.measures if measure not in margins]
    rest = f" {', '.join(without)}: no margin, so never equivalent." if without else ""
    return (
        "Equivalent: two one-sided tests of the same kind, corrected together with the others, show a difference "
        f"smaller than the margin ({stated}).{rest}"
    )


def _margin(margin: float | str) -> str:
    return f"{margin} of the baseline's mean" if isinstance(margin, str) else f"{margin:g}"
