"""A judged comparison of two systems: every statistic of it, once, under the name it is stored and shown by.

A new statistic is a field here, an attribute of that name where it is computed (`evaluate.pairs`), and a column
(`report.tables.columns`). With a default it may be missing, so results stored before it was computed are still read.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from rankscope.core.judged.plain import FLAT, Interval


class Verdict(StrEnum):
    """What a comparison may be said to show."""

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
    """System minus baseline over the same queries, with what it shows in its family of comparisons."""

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
    """Of the mean difference, of this comparison alone; infinite where a measure without bounds shows no spread."""
    bootstrap_interval: Interval | None
    """BCa over queries (or groups); None with several seeds, whose spread it would leave out."""
    effect_size: float | None
    """Mean difference over the standard deviation of the differences; None without spread."""
    effect_interval: Interval | None
    p_value: float
    """Two-sided, that the means differ."""
    corrected_p: float
    wilcoxon_p: float | None
    randomisation_p: float | None
    mcnemar_p: float | None
    """Exact; for measures that are 0 or 1 for every query."""
    margin: float | None
    """The difference below which the two are equivalent, in units of the measure; None where none was stated."""
    margin_is_relative: bool
    """Whether it was stated as a share of the baseline's mean."""
    equivalence_p: float | None
    """TOST: the larger p of two one-sided tests against the margin; None without one."""
    corrected_equivalence_p: float | None
    non_inferiority_p: float | None
    """One-sided: that the system is not worse by the margin."""
    corrected_non_inferiority_p: float | None
    beyond_margin_p: float | None
    """That the difference is larger than the margin, in its own direction: one-sided, doubled."""
    corrected_beyond_margin_p: float | None
    smallest_detectable: float | None
    """The true difference shown in 80 % of cases, at the level over the family's size; None without spread, or with
    that of a few queries."""
    span: float | None
    """The largest difference the measure allows; None where it has no bounds."""
    queries_needed: int | None
    """So many queries would show, in 80 % of cases, a true difference as large as the margin; None without one, and
    where the answer is not one of queries."""
    fragility: int | None
    """How many queries, with the worst difference there can be, would take the verdict away; None for "cannot tell",
    and for a measure without bounds."""
    unseen_share: float | None
    """Where nearly all differences are the same: the largest share of all queries that could be of another kind and
    not be in the sample; None where the queries' spread tells."""
    verdict: Verdict


@dataclass(frozen=True)
class JudgedComparison:
    """What was compared with what, on what, where, and what came of it."""

    place: Place | None = field(metadata=FLAT)
    """None of run files, which have no other place."""
    measure: str
    system: str
    baseline: str
    judged: JudgedDifference = field(metadata=FLAT)
