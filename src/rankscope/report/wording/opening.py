"""The words the page opens with: what was compared, what was found, and which differences the queries could show."""

from collections.abc import Sequence
from dataclasses import dataclass

from rankscope.core.judged.comparisons import JudgedComparison, Verdict
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.core.words import counted, of_number
from rankscope.report.stored import is_main, place_name
from rankscope.report.wording import cautions
from rankscope.report.wording.verdicts import CORRECTIONS

MOST_GROUPS = 4
PHRASES = {
    Verdict.BETTER: "better than",
    Verdict.WORSE: "worse than",
    Verdict.EQUIVALENT: "equivalent to",
}


@dataclass(frozen=True)
class Opening:
    """Three texts, one under the other; `power` is empty where nothing was compared."""

    compared: str
    found: str
    power: str


def opening(evaluation: EvaluationRecord) -> Opening:
    """The opening, from the main comparisons of the first measure; no verdict is made here, and none left out unsaid."""
    systems, measure = evaluation.systems, evaluation.headline
    where = joined([place_name(place, evaluation) for place in evaluation.places])
    rows = [row for row in evaluation.comparisons if is_main(row, evaluation)]
    if not rows:
        count = f"{counted(len(systems), 'system')} {of_number(len(systems), 'was', 'were')}"
        return Opening(
            f"{count} measured on {where} by {measure}.",
            "Nothing was compared, so nothing is said about which system is better.",
            "",
        )
    return Opening(
        f"{counted(len(systems), 'system')} on {where} by {measure}: {counted(len(rows), 'comparison')}, {_correction(evaluation)}.",
        _found(rows, evaluation),
        _power(rows, measure),
    )


def joined(names: Sequence[str]) -> str:
    """Names as a list in words: "a", "a and b", "a, b and c"; of more than six, a count after the fifth."""
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _correction(evaluation: EvaluationRecord) -> str:
    words, n_tests = CORRECTIONS[evaluation.correction], evaluation.n_corrected_for
    if evaluation.correction == "none":
        return words
    return f"{words} over a family of {n_tests}" if n_tests > 1 else words


def _found(rows: Sequence[JudgedComparison], evaluation: EvaluationRecord) -> str:
    """One sentence for the systems that have one verdict against one baseline at one place, and what is open last."""
    groups: dict[tuple[Verdict, str, str], list[str]] = {}
    for row in rows:
        if row.judged.verdict is not Verdict.CANNOT_TELL:
            place = place_name(row.place, evaluation) if len(evaluation.places) > 1 else ""
            groups.setdefault((row.judged.verdict, row.baseline, place), []).append(row.system)
    sentences = []
    for (verdict, baseline, place), names in list(groups.items())[:MOST_GROUPS]:
        verb = "is" if len(names) == 1 else "are"
        at = f" on {place}" if place else ""
        sentences.append(f"{joined(names)} {verb} {PHRASES[verdict]} {baseline}{at}.")
    if (n_unsaid := sum(map(len, list(groups.values())[MOST_GROUPS:]))) > 0:
        sentences.append(
            f"{counted(n_unsaid, 'more verdict')} {of_number(n_unsaid, 'is', 'are')} below."
        )
    n_open = sum(row.judged.verdict is Verdict.CANNOT_TELL for row in rows)
    if n_open == len(rows):
        return "Neither a difference nor equivalence was shown in any of them: we cannot tell."
    if n_open:
        sentences.append(f"In {counted(n_open, 'other comparison')} we cannot tell.")
    return " ".join(sentences)


def _power(rows: Sequence[JudgedComparison], measure: str) -> str:
    """The range of the minimum detectable effects, and the caveat that belongs to open verdicts."""
    caveat = (
        " “Cannot tell” does not mean equal."
        if any(row.judged.verdict is Verdict.CANNOT_TELL for row in rows)
        else ""
    )
    effects = [
        (row.judged.smallest_detectable, row.judged.span)
        for row in rows
        if row.judged.smallest_detectable is not None
    ]
    if not effects:
        return f"Which differences these queries could show is not known.{caveat}"
    n_unknown = len(rows) - len(effects)
    unknown = f" Of {counted(n_unknown, 'comparison')} it is not known." if n_unknown else ""
    possible = [effect for effect, span in effects if not cautions.is_beyond(effect, span)]
    n_beyond = len(effects) - len(possible)
    if not possible:
        them = "any of them" if n_beyond > 1 else "it"
        return f"No true difference that {measure} allows is detected with 80\u00a0% power in {them}.{unknown}{caveat}"
    low, high = f"{min(possible):.3f}", f"{max(possible):.3f}"
    size = low if low == high else f"{low} to {high}, by comparison"
    beyond = (
        f"; in {counted(n_beyond, 'comparison')} none that the measure allows is"
        if n_beyond
        else ""
    )
    return f"The smallest true difference in {measure} that is detected with 80\u00a0% power is {size}{beyond}.{unknown}{caveat}"
