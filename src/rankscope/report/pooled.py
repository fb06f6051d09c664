"""Verdicts over all tests as rows, sentences and a table."""

from collections.abc import Sequence

from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import Interval, as_plain
from rankscope.report.wording.numbers import p_text, signed
from rankscope.report.wording.verdicts import CORRECTIONS, interval, marked

FULL_COLUMNS = (
    "measure", "system", "baseline", "n_tests", "n_first_stages", "difference", "standard_error",
    "degrees_of_freedom", "interval_low", "interval_high", "p_value", "corrected_p", "margin", "equivalence_p",
    "corrected_equivalence_p", "beyond_margin_p", "corrected_beyond_margin_p", "sd", "tau", "i_squared", "verdict",
)  # fmt: skip

NONE = "\u2013"
"""The text of a value that is not known."""

TAU = "\N{GREEK SMALL LETTER TAU}"

TWO_TESTS = (
    "Two tests leave one degree of freedom, with which hardly any difference is detectable: “cannot tell” says "
    "little about the systems."
)


def between(row: JudgedOverTests) -> str:
    """The heterogeneity of the tests, in words."""
    if row.tau is None:
        return f"the tests' differences have a standard deviation of {row.sd:.4f}"
    return f"between tests {TAU} {tau(row)}, I² {i_squared(row)}"


def tau(row: JudgedOverTests) -> str:
    """Tau, or a dash where it is not known."""
    return NONE if row.tau is None else f"{row.tau:.4f}"


def i_squared(row: JudgedOverTests) -> str:
    """I squared, or a dash where it is not known."""
    return NONE if row.i_squared is None else f"{100 * row.i_squared:.0f}\u00a0%"


def places(row: JudgedOverTests) -> str:
    """Over how many tests and first stages, in words."""
    stages = "" if row.n_first_stages == 1 else f" and {row.n_first_stages} first stages"
    return f"{row.n_tests} tests{stages}"


def ends(interval: Interval) -> str:
    """Both ends of an interval, or a dash where it has none."""
    low, high = interval
    return f"{signed(low, 4)} to {signed(high, 4)}" if interval.is_known else NONE


def table(
    rows: Sequence[JudgedOverTests], *, interval: str = "interval"
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows as they are shown, with tau and I squared where they are known."""
    has_tau = any(row.tau is not None for row in rows)
    columns = [
        "measure", "system", "baseline", "tests", "first stages", "difference", interval,
        *([TAU, "I²"] if has_tau else ["sd of tests"]), "corrected p", "corrected p equivalent", "verdict",
    ]  # fmt: skip
    return columns, [
        [
            row.measure,
            row.system,
            row.baseline,
            str(row.n_tests),
            str(row.n_first_stages),
            signed(row.difference, 4),
            ends(row.interval),
            *([tau(row), i_squared(row)] if has_tau else [f"{row.sd:.4f}"]),
            p_text(row.corrected_p),
            p_text(row.corrected_equivalence_p),
            marked(row.verdict),
        ]
        for row in rows
    ]


LEFT_OUT_FIRST = (TAU, "I²", "sd of tests", "corrected p equivalent", "first stages", "tests")
"""Columns that a narrow terminal leaves out, the least needed first."""


def full_rows(rows: Sequence[JudgedOverTests]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows in full precision; a field is empty where nothing was tested."""

    def cells(row: JudgedOverTests) -> list[str]:
        stored = as_plain(row)
        low, high = stored["interval"]
        stored |= {"interval_low": low, "interval_high": high}
        return ["" if stored[name] is None else str(stored[name]) for name in FULL_COLUMNS]

    return list(FULL_COLUMNS), [cells(row) for row in rows]


def caption(evaluation: EvaluationRecord) -> str:
    """How verdicts over tests come about, and what is told of their heterogeneity, in words."""
    rows, correction = evaluation.pooled, evaluation.correction
    few = f" {TWO_TESTS}" if any(row.n_tests == 2 for row in rows) else ""
    over = "" if correction == "none" else f" over these {len(rows)}, a family of their own"
    return (
        "Every test (a collection) has the same weight, however many queries it has; its first stages are averaged. The "
        f"{interval(evaluation)} is a t interval over tests, never narrower than the queries alone allow; the error of "
        f"training seeds, which all tests share, is added once. p-values are {CORRECTIONS[correction]}{over}. {TAU}: the "
        "standard deviation of the tests' true differences; I²: the share of the variance between tests that queries "
        f"do not explain.{few}"
    )
