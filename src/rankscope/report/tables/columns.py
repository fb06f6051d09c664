"""The columns of comparisons: their headings and formats in CSV, in LaTeX, on the page and on the terminal of `compare`.

One table serves all four media. They have the same columns in the same groups, but each medium has its own order of
groups, because readers look first for different things. Each medium puts the names of a comparison before the columns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Any, NamedTuple

from rankscope.core.judged.comparisons import JudgedComparison, JudgedDifference, Verdict
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.core.judged.plain import Interval
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import NO_INTERVAL, between, p_text, signed
from rankscope.report.wording.verdicts import interval_name, marked


class ColumnGroup(Enum):
    """The topic of a column."""

    COUNTS = "how much was compared"
    DIFFERENCE = "how large the difference is"
    TESTS = "what the tests say"
    POWER = "what could have been shown"
    VERDICT = "what is concluded"


class Format(NamedTuple):
    """How a medium shows a column."""

    heading: str
    """`{interval}` stands for the name of the intervals, `{p}` for "p" or "corrected p"."""
    text: Callable[[JudgedDifference], str]


@dataclass(frozen=True)
class Column:
    """A statistic of a comparison."""

    part: ColumnGroup
    name: str
    """The name in CSV."""
    value: Callable[[JudgedDifference], Any] | None = None
    """The value in CSV, in full precision; None where CSV has only its parts."""
    latex: Format | None = None
    page: Format | None = None
    terminal: Format | None = None
    only_with_seeds: bool = False
    """Whether the page shows it only where a system has several seeds."""


class SharedTerms(NamedTuple):
    """The terms that all comparisons of a family share."""

    significance_level: float
    correction: str
    has_seeds: bool = False

    @property
    def interval(self) -> str:
        """The name of the intervals."""
        return interval_name(self.significance_level, self.correction)

    def heading(self, shown: Format) -> str:
        """The heading of a column."""
        p = "p" if self.correction == "none" else "corrected p"
        return shown.heading.format(
            interval=self.interval, Interval=self.interval.capitalize(), p=p
        )


def terms_of(evaluation: EvaluationRecord) -> SharedTerms:
    """The terms that all comparisons of an evaluation share."""
    return SharedTerms(evaluation.significance_level, evaluation.correction, evaluation.has_seeds)


def _end(interval: Interval | None, at: int) -> float | None:
    return interval[at] if interval is not None and isfinite(interval[at]) else None


def _dash(text: str) -> str:
    """The text with a hyphen for a dash, because some terminals' fonts lack dashes."""
    return text.replace("\u2013", "-")


def _ascii_ends(judged: JudgedDifference) -> str:
    low, high = judged.interval
    return f"{low:+.4f} to {high:+.4f}" if judged.interval.is_known else NO_INTERVAL


def ascii_p(p_value: float | None) -> str:
    """A p-value on a terminal, to four digits; a hyphen where nothing was tested."""
    if p_value is None:
        return "-"
    return "<0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def _effect(judged: JudgedDifference) -> str:
    return "\u2013" if judged.effect_size is None else signed(judged.effect_size, 2)


def _detectable(judged: JudgedDifference, digits: int = 3) -> str:
    return cautions.detectable(judged.smallest_detectable, judged.span, digits)


def _detectable_number(judged: JudgedDifference) -> str:
    difference = judged.smallest_detectable
    return "\u2013" if difference is None else f"{difference:.3f}"


def _needed(judged: JudgedDifference) -> str:
    is_open = judged.verdict is Verdict.CANNOT_TELL and judged.queries_needed is not None
    return f"{judged.queries_needed:,}" if is_open else "-"


COLUMNS: Sequence[Column] = (
    Column(
        ColumnGroup.COUNTS, "n_queries", lambda j: j.n_queries,
        page=Format("Queries", lambda j: str(j.n_queries)),
    ),
    Column(ColumnGroup.COUNTS, "n_differing", lambda j: j.n_differing),
    Column(
        ColumnGroup.COUNTS, "system_seeds", lambda j: j.n_seeds[0],
        page=Format("Seeds", lambda j: f"{j.n_seeds[0]} \u2212 {j.n_seeds[1]}"), only_with_seeds=True,
    ),
    Column(ColumnGroup.COUNTS, "baseline_seeds", lambda j: j.n_seeds[1]),
    Column(
        ColumnGroup.DIFFERENCE, "difference", lambda j: j.difference,
        latex=Format("Difference", lambda j: signed(j.difference)),
        page=Format("Difference", lambda j: signed(j.difference)),
        terminal=Format("difference", lambda j: f"{j.difference:+.4f}"),
    ),
    Column(
        ColumnGroup.DIFFERENCE, "interval",
        latex=Format("Interval", lambda j: between(j.interval)),
        page=Format("{Interval}", lambda j: between(j.interval)),
        terminal=Format("{interval}", _ascii_ends),
    ),
    Column(ColumnGroup.DIFFERENCE, "interval_low", lambda j: _end(j.interval, 0)),
    Column(ColumnGroup.DIFFERENCE, "interval_high", lambda j: _end(j.interval, 1)),
    Column(ColumnGroup.DIFFERENCE, "bootstrap_low", lambda j: _end(j.bootstrap_interval, 0)),
    Column(ColumnGroup.DIFFERENCE, "bootstrap_high", lambda j: _end(j.bootstrap_interval, 1)),
    Column(
        ColumnGroup.DIFFERENCE, "effect_size", lambda j: j.effect_size,
        latex=Format("$d$", _effect),
        page=Format("Effect<br>size", _effect),
        terminal=Format("effect", lambda j: "-" if j.effect_size is None else f"{j.effect_size:+.2f}"),
    ),
    Column(ColumnGroup.DIFFERENCE, "effect_low", lambda j: _end(j.effect_interval, 0)),
    Column(ColumnGroup.DIFFERENCE, "effect_high", lambda j: _end(j.effect_interval, 1)),
    Column(
        ColumnGroup.TESTS, "p_value", lambda j: j.p_value,
        latex=Format("$p$", lambda j: p_text(j.p_value)),
        page=Format("<i>p</i>", lambda j: p_text(j.p_value)),
    ),
    Column(
        ColumnGroup.TESTS, "corrected_p", lambda j: j.corrected_p,
        latex=Format(r"$p_{{\mathrm{{corr}}}}$", lambda j: p_text(j.corrected_p)),
        page=Format("<i>p</i>,<br>corrected", lambda j: p_text(j.corrected_p)),
        terminal=Format("{p}", lambda j: ascii_p(j.corrected_p)),
    ),
    Column(ColumnGroup.TESTS, "wilcoxon_p", lambda j: j.wilcoxon_p),
    Column(ColumnGroup.TESTS, "randomisation_p", lambda j: j.randomisation_p),
    Column(ColumnGroup.TESTS, "mcnemar_p", lambda j: j.mcnemar_p),
    Column(ColumnGroup.TESTS, "margin", lambda j: j.margin),
    Column(ColumnGroup.TESTS, "equivalence_p", lambda j: j.equivalence_p),
    Column(
        ColumnGroup.TESTS, "corrected_equivalence_p", lambda j: j.corrected_equivalence_p,
        latex=Format(r"$p_{{\mathrm{{equiv}}}}$", lambda j: p_text(j.corrected_equivalence_p)),
        page=Format("Equivalence<br><i>p</i>, corrected", lambda j: p_text(j.corrected_equivalence_p)),
        terminal=Format("{p} equivalent", lambda j: ascii_p(j.corrected_equivalence_p)),
    ),
    Column(ColumnGroup.TESTS, "non_inferiority_p", lambda j: j.non_inferiority_p),
    Column(ColumnGroup.TESTS, "corrected_non_inferiority_p", lambda j: j.corrected_non_inferiority_p),
    Column(ColumnGroup.TESTS, "beyond_margin_p", lambda j: j.beyond_margin_p),
    Column(ColumnGroup.TESTS, "corrected_beyond_margin_p", lambda j: j.corrected_beyond_margin_p),
    Column(
        ColumnGroup.POWER, "smallest_detectable", lambda j: j.smallest_detectable,
        latex=Format("Detectable", _detectable),
        page=Format("Detectable", _detectable_number),
        terminal=Format("detectable", lambda j: _dash(_detectable(j, 4))),
    ),
    Column(
        ColumnGroup.POWER, "queries_needed", lambda j: j.queries_needed,
        terminal=Format("queries needed", _needed),
    ),
    Column(
        ColumnGroup.VERDICT, "verdict", lambda j: j.verdict.value,
        latex=Format("Verdict", lambda j: j.verdict.value),
        page=Format("Verdict", lambda j: j.verdict.value),
        terminal=Format("verdict", lambda j: marked(j.verdict)),
    ),
    Column(
        ColumnGroup.VERDICT, "fragility", lambda j: j.fragility,
        latex=Format("Fragility", lambda j: cautions.figure(j.fragility)),
        page=Format("Fragility", lambda j: cautions.figure(j.fragility)),
        terminal=Format("fragility", lambda j: _dash(cautions.figure(j.fragility))),
    ),
    Column(ColumnGroup.VERDICT, "unseen_share", lambda j: j.unseen_share),
)  # fmt: skip

IN_FILES = (
    ColumnGroup.COUNTS,
    ColumnGroup.DIFFERENCE,
    ColumnGroup.TESTS,
    ColumnGroup.POWER,
    ColumnGroup.VERDICT,
)
ON_PAGE = (
    ColumnGroup.VERDICT,
    ColumnGroup.DIFFERENCE,
    ColumnGroup.TESTS,
    ColumnGroup.POWER,
    ColumnGroup.COUNTS,
)
SECONDARY = (
    "effect_size",
    "corrected_equivalence_p",
    "queries_needed",
    "fragility",
    "smallest_detectable",
)
"""Columns that a narrow terminal leaves out, the least needed first."""
ON_TERMINAL = (
    ColumnGroup.DIFFERENCE,
    ColumnGroup.TESTS,
    ColumnGroup.VERDICT,
    ColumnGroup.POWER,
    ColumnGroup.COUNTS,
)


def _in_order(parts: Iterable[ColumnGroup]) -> Iterable[Column]:
    return (column for part in parts for column in COLUMNS if column.part is part)


def in_csv() -> list[Column]:
    """The columns of a CSV file, in order."""
    return [column for column in _in_order(IN_FILES) if column.value is not None]


def in_latex() -> list[Format]:
    """The columns of a LaTeX table, in order."""
    return [column.latex for column in _in_order(IN_FILES) if column.latex is not None]


def on_page(terms: SharedTerms) -> list[tuple[str, Format]]:
    """The columns of the page's table, in order, each with its name."""
    return [
        (column.name, column.page)
        for column in _in_order(ON_PAGE)
        if column.page is not None and (terms.has_seeds or not column.only_with_seeds)
    ]


def left_out_first(terms: SharedTerms) -> list[str]:
    """The headings on a terminal of columns that a narrow one leaves out, the least needed first."""
    shown = {column.name: column.terminal for column in COLUMNS if column.terminal is not None}
    return [terms.heading(shown[name]) for name in SECONDARY]


def on_terminal(
    comparisons: Iterable[JudgedComparison], terms: SharedTerms
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table on a terminal, a row for each comparison."""
    shown = [column.terminal for column in _in_order(ON_TERMINAL) if column.terminal is not None]
    heads = [terms.heading(column).replace("\u00a0", " ") for column in shown]
    return ["measure", "systems", *heads], [
        [
            row.measure,
            f"{row.system} - {row.baseline}",
            *(column.text(row.judged) for column in shown),
        ]
        for row in comparisons
    ]
