"""A judged difference over several tests of equal weight: `evaluate` makes it, steps store it, the page shows it."""

from dataclasses import dataclass

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.plain import Interval


@dataclass(frozen=True)
class DifferenceOnTest:
    """The difference on one test, averaged over its first stages."""

    test: str
    n_queries: int | None
    """None where only means are known."""
    difference: float
    standard_error: float | None
    """Over its queries; None where only means are known, or an unbounded measure shows no spread."""


@dataclass(frozen=True)
class DifferenceOnCell:
    """The mean difference on one test from one first stage."""

    test: str
    first_stage: str
    difference: float


@dataclass(frozen=True)
class JudgedOverTests:
    """System minus baseline over several tests, with corrected p-values and a verdict."""

    system: str
    baseline: str
    measure: str
    n_tests: int
    n_first_stages: int
    difference: float
    standard_error: float | None
    """None where a measure without bounds shows no spread in a test."""
    degrees_of_freedom: float
    interval: Interval
    p_value: float
    corrected_p: float
    margin: float | None
    """In units of the measure; a relative margin is a share of the baseline's mean over tests."""
    margin_is_relative: bool
    equivalence_p: float | None
    """TOST, by the same t distribution; None without a margin."""
    corrected_equivalence_p: float | None
    beyond_margin_p: float | None
    """p-value that the difference exceeds the margin in its own direction: one-sided, doubled."""
    corrected_beyond_margin_p: float | None
    sd: float
    """The standard deviation of the tests' differences."""
    tau: float | None
    """The standard deviation of the tests' true differences; None where a test's error is not known."""
    i_squared: float | None
    """The share of the variance between tests that their queries do not explain."""
    verdict: Verdict
    tests: tuple[DifferenceOnTest, ...]
    cells: tuple[DifferenceOnCell, ...]
