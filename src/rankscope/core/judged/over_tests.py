"""A judged difference over several tests, each of which counts alike: what `evaluate` pools, stored and shown."""

from dataclasses import dataclass

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.plain import Interval


@dataclass(frozen=True)
class DifferenceOnTest:
    """What one test shows, its first stages together."""

    test: str
    n_queries: int | None
    """None where only means are known, as below."""
    difference: float
    standard_error: float | None
    """Of its queries; None, too, where a measure without bounds shows no spread."""


@dataclass(frozen=True)
class DifferenceOnCell:
    """The mean difference on one test from one first stage."""

    test: str
    first_stage: str
    difference: float


@dataclass(frozen=True)
class JudgedOverTests:
    """System minus baseline over several tests, with what it shows in its family."""

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
    """In units of the measure: of a share, that of the baseline's mean over tests."""
    margin_is_relative: bool
    equivalence_p: float | None
    """TOST on the same t; None without a margin."""
    corrected_equivalence_p: float | None
    beyond_margin_p: float | None
    """That the difference is larger than the margin, in its own direction: one-sided, doubled."""
    corrected_beyond_margin_p: float | None
    sd: float
    """Of the tests' differences."""
    tau: float | None
    """How far the tests' true differences lie apart (a standard deviation); None where a test's error is not known."""
    i_squared: float | None
    """The share of the spread between tests that their queries do not explain."""
    verdict: Verdict
    tests: tuple[DifferenceOnTest, ...]
    cells: tuple[DifferenceOnCell, ...]
