"""Verdicts over all tests to plain section data: rows, sentences, a table; no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankscope.core.errors import choose
from rankscope.report.sections import (
    CORRECTIONS,
    VERDICTS,
    Mark,
    StoredResults,
    interval,
    p_text,
    signed,
)

FULL_COLUMNS = (
    "measure", "system", "baseline", "n_tests", "n_first_stages", "difference", "standard_error",
    "degrees_of_freedom", "interval_low", "interval_high", "p_value", "corrected_p", "margin", "equivalence_p",
    "corrected_equivalence_p", "beyond_margin_p", "corrected_beyond_margin_p", "sd", "tau", "i_squared", "verdict",
)  # fmt: skip

NONE = "\u2013"
"""What stands where nothing is known."""

TAU = "\N{GREEK SMALL LETTER TAU}"

TWO_TESTS = (
    "Two tests leave one degree of freedom, by which hardly anything can be shown: “cannot tell” says little "
    "of the systems."
)


@dataclass(frozen=True)
class PooledRow:
    """A stored pooled difference, system minus baseline, with its verdict."""

    measure: str
    system: str
    baseline: str
    n_tests: int
    n_first_stages: int
    difference: float
    interval: tuple[float | None, float | None]
    corrected_p: float
    margin: float | None
    corrected_equivalence_p: float | None
    corrected_beyond_margin_p: float | None
    tau: float | None
    i_squared: float | None
    sd: float
    verdict: str

    @property
    def mark(self) -> Mark:
        """The verdict's symbol and word."""
        return choose(VERDICTS, self.verdict, what="verdict")

    @property
    def between(self) -> str:
        """How far the tests lie apart, in words."""
        if self.tau is None:
            return f"the tests' differences have a standard deviation of {self.sd:.4f}"
        return f"between tests {TAU} {self.tau_text}, I² {self.i_squared_text}"

    @property
    def tau_text(self) -> str:
        """Tau, or a dash where it is not known."""
        return NONE if self.tau is None else f"{self.tau:.4f}"

    @property
    def i_squared_text(self) -> str:
        """I squared, or a dash where it is not known."""
        return NONE if self.i_squared is None else f"{100 * self.i_squared:.0f}\u00a0%"

    @property
    def places(self) -> str:
        """Over how many tests and first stages, in words."""
        stages = "" if self.n_first_stages == 1 else f" and {self.n_first_stages} first stages"
        return f"{self.n_tests} tests{stages}"

    @property
    def ends(self) -> str:
        """The interval, from where to where."""
        low, high = self.interval
        return NONE if low is None or high is None else f"{signed(low, 4)} to {signed(high, 4)}"

    @property
    def turned_ends(self) -> str:
        """The interval of baseline minus system."""
        low, high = self.interval
        return NONE if low is None or high is None else f"{signed(-high, 4)} to {signed(-low, 4)}"


def row_of(stored: Mapping[str, Any]) -> PooledRow:
    """A row of what was stored."""
    found = {key: stored[key] for key in PooledRow.__dataclass_fields__}
    return PooledRow(**found | {"interval": tuple(stored["interval"])})


def rows(results: StoredResults) -> list[PooledRow]:
    """Every pooled difference, in the stored order; none of one test."""
    return [row_of(stored) for stored in results.evaluation.get("pooled", ())]


def table(
    found: Sequence[PooledRow], *, interval: str = "interval"
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, as they are shown; how far the tests lie apart where it is known."""
    has_tau = any(row.tau is not None for row in found)
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
            row.ends,
            *([row.tau_text, row.i_squared_text] if has_tau else [f"{row.sd:.4f}"]),
            p_text(row.corrected_p),
            p_text(row.corrected_equivalence_p),
            f"{row.mark.symbol} {row.verdict}",
        ]
        for row in found
    ]


def full_rows(stored: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows in full precision; an empty field where nothing was tested."""

    def shown(row: Mapping[str, Any], name: str) -> str:
        low, high = row["interval"]
        value = {"interval_low": low, "interval_high": high}.get(name, row.get(name))
        return "" if value is None else str(value)

    return list(FULL_COLUMNS), [[shown(row, name) for name in FULL_COLUMNS] for row in stored]


def caption(results: StoredResults) -> str:
    """What the numbers are, in words."""
    found, correction = rows(results), results.evaluation["correction"]
    few = f" {TWO_TESTS}" if any(row.n_tests == 2 for row in found) else ""
    over = "" if correction == "none" else f" over these {len(found)}, a family of their own"
    return (
        "Every test (a collection) counts alike, however many queries it has, its first stages together. The "
        f"{interval(results)} is that of t over tests, never narrower than the queries alone allow, with the part of "
        f"training seeds, which all tests share, added once; p-values are {CORRECTIONS[correction]}{over}. {TAU}: how far "
        f"the tests' true differences lie apart; I²: the share of their spread that queries do not explain.{few}"
    )
