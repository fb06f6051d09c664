"""A judged comparison of two systems: every statistic once, under the name by which it is stored and shown.

A new statistic is a field here, an attribute of that name where it is computed (`evaluate.pairs`), and a column
(`report.tables.columns`). A field with a default may be missing, so results stored before it existed can still be read.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from rankscope.core.judged.plain import FLAT, Interval


class Verdict(StrEnum):
    """The conclusion of a comparison."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Place:
    """Where systems are compared with one another: over a collection, from a first stage."""

    collection: str
    first_stage: str


@dataclass(frozen=True)
class JudgedDifference:
    """System minus baseline over the same queries, with corrected p-values and a verdict."""

    n_queries: int
    n_groups: int
    """Groups of queries that may depend on each other; as many as queries where none were given."""
    n_seeds: tuple[int, int]
    """Training seeds of the system and of the baseline."""
    system_mean: float
    baseline_mean: float
    n_differing: int
    """Queries in which the two differ at all."""
    difference: float
    interval: Interval
    """The interval of the mean difference, uncorrected; infinite where an unbounded measure shows no spread."""
    bootstrap_interval: Interval | None
    """BCa bootstrap over queries (or groups); None with several seeds, whose spread it would ignore."""
    effect_size: float | None
    """Mean difference over the standard deviation of the differences; None without spread."""
    effect_interval: Interval | None
    p_value: float
    """Two-sided p-value that the means differ."""
    corrected_p: float
    wilcoxon_p: float | None
    randomisation_p: float | None
    mcnemar_p: float | None
    """McNemar's exact test, for measures that are 0 or 1 for every query."""
    margin: float | None
    """The difference below which the two are equivalent, in units of the measure; None where none was stated."""
    margin_is_relative: bool
    """Whether the margin was stated as a share of the baseline's mean."""
    equivalence_p: float | None
    """TOST: the larger p-value of two one-sided tests against the margin; None without a margin."""
    corrected_equivalence_p: float | None
    non_inferiority_p: float | None
    """One-sided p-value that the system is not worse by the margin."""
    corrected_non_inferiority_p: float | None
    beyond_margin_p: float | None
    """p-value that the difference exceeds the margin in its own direction: one-sided, doubled."""
    corrected_beyond_margin_p: float | None
    smallest_detectable: float | None
    """The minimum detectable effect: the true difference that is detectable with 80 % power at the level over the
    family's size. None where the differences have no spread, or only a few queries make it."""
    span: float | None
    """The largest difference the measure allows; None where it has no bounds."""
    queries_needed: int | None
    """How many queries detect a true difference as large as the margin with 80 % power; None without a margin, and
    where more queries alone would not do."""
    fragility: int | None
    """How many queries would take the verdict away if they had the worst possible difference; None for "cannot tell",
    and for a measure without bounds."""
    unseen_share: float | None
    """Where nearly all differences are the same: the largest share of all queries that could differ from them without
    one in the sample. None where the spread over queries is informative."""
    verdict: Verdict


@dataclass(frozen=True)
class JudgedComparison:
    """Two systems compared on one measure in one place, and the result."""

    place: Place | None = field(metadata=FLAT)
    """None for run files, which have only one place."""
    measure: str
    system: str
    baseline: str
    judged: JudgedDifference = field(metadata=FLAT)
