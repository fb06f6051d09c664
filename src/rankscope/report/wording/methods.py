"""How verdicts came about, and what the numbers beside them mean: once for a page, which its captions lead to."""

from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report import pooled
from rankscope.report.wording import cautions
from rankscope.report.wording.verdicts import caption, interval

EFFECT_SIZE = "Mean difference over the standard deviation of the differences."
DETECTABLE = (
    "The minimum detectable effect: the true difference that is detectable with 80\u00a0% power at the level left for one "
    "comparison of the family."
)


def methods(
    evaluation: EvaluationRecord, *, has_sections: bool, has_steps: bool
) -> list[tuple[str, str]]:
    """(term, explanation), in the order of need; empty where the page has neither a verdict nor an analysis."""
    term, _, meaning = cautions.FRAGILITY.partition(": ")
    fragility = (term, meaning[0].upper() + meaning[1:])
    if not evaluation.comparisons:
        return [fragility] if has_sections else []
    found = [
        ("Verdicts", caption(evaluation)),
        ("Intervals", _intervals(evaluation, has_steps=has_steps)),
        ("Effect size", EFFECT_SIZE),
        ("Detectable", DETECTABLE),
        fragility,
    ]
    if evaluation.pooled:
        found.append(("Over all tests", pooled.caption(evaluation)))
    return found


def _intervals(evaluation: EvaluationRecord, *, has_steps: bool) -> str:
    is_corrected = evaluation.correction != "none"
    alone = (
        " of one comparison alone; verdicts are corrected over all, so an interval without zero may go with “cannot tell”"
        if is_corrected
        else ""
    )
    elsewhere = "tables/comparisons.csv" if has_steps else "the output of --csv and --json"
    return (
        f"{interval(evaluation).capitalize()}s over queries{alone}. BCa intervals{' (uncorrected, too)' if is_corrected else ''} "
        f"and the Wilcoxon and randomisation tests are in {elsewhere}."
    )
