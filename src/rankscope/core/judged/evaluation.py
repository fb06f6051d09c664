"""The results of an evaluation, as `evaluation.json` holds them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import FLAT

EVALUATION = "evaluation.json"
"""The name of the file."""


@dataclass(frozen=True)
class SeedResult:
    """One training seed's run of a system, and its means."""

    name: str
    """The name of the ranker that was trained with the seed."""
    run: str
    """The run's path within the results folder."""
    missing_queries: tuple[str, ...]
    """Judged queries that it does not rank."""
    tied_share: float
    """The share of neighbouring docs in its rankings that had equal scores before the run was written."""
    means: Mapping[str, float]
    """Measure to the mean over judged queries."""


@dataclass(frozen=True)
class SystemResult:
    """A system's means on one collection from one first stage, averaged over its training seeds."""

    place: Place = field(metadata=FLAT)
    system: str
    run: str
    """The first seed's run, where there are several."""
    n_queries: int
    missing_queries: tuple[str, ...]
    """Judged queries that any seed's run does not rank."""
    tied_share: float
    """The largest tied share of any seed."""
    means: Mapping[str, float]
    runs: tuple[SeedResult, ...] = ()
    """Each seed's result, where there are several seeds."""
    seed_sd: Mapping[str, float] = field(default_factory=dict)
    """Measure to the standard deviation of the seeds' means, where there are several."""

    @property
    def seeds(self) -> tuple[SeedResult, ...]:
        """Each seed's result; a system with one run counts as its own seed, under its own name."""
        own = SeedResult(self.system, self.run, self.missing_queries, self.tied_share, self.means)
        return self.runs or (own,)


@dataclass(frozen=True)
class Claimed:
    """A published conclusion about systems, in words and as a verdict."""

    claim: str
    source: str | None
    systems: tuple[str, ...]
    verdict: Verdict
    baseline: str
    measure: str


@dataclass(frozen=True)
class EvaluationRecord:
    """Results, comparisons and verdicts, and the terms on which they were judged."""

    notes: tuple[str, ...]
    """What a reader should know before believing the findings."""
    remarks: tuple[str, ...]
    """Further remarks on the means."""
    tests: str
    """sound, or as_published."""
    relevance_levels: Mapping[str, int]
    """Collection to the lowest relevance grade that counts as relevant."""
    measures: tuple[str, ...]
    """The first is the headline."""
    significance_level: float
    correction: str
    margin: Mapping[str, float | str]
    """Measure to the margin as it was stated: a difference, or a share of the baseline's mean such as "5%"."""
    baselines: tuple[str, ...]
    all_pairs: bool
    """Whether every two systems are compared, because no baseline was named."""
    claims: tuple[Claimed, ...]
    results: tuple[SystemResult, ...]
    comparisons: tuple[JudgedComparison, ...]
    pooled: tuple[JudgedOverTests, ...]
    family_size: int | None = None
    """How many comparisons were declared beforehand; None where just those made here."""

    @property
    def headline(self) -> str:
        """The measure on which findings are reported."""
        return self.measures[0]

    @property
    def places(self) -> list[Place]:
        """Every collection with a first stage, in the order of the results."""
        return list(dict.fromkeys(result.place for result in self.results))

    @property
    def systems(self) -> list[str]:
        """Every system, in the order of the results."""
        return list(dict.fromkeys(result.system for result in self.results))

    @property
    def has_seeds(self) -> bool:
        """Whether any system was measured with several seeds."""
        return any(result.runs for result in self.results)

    @property
    def n_corrected_for(self) -> int:
        """The number of comparisons for which p-values are corrected; 1 where they are not."""
        if self.correction == "none":
            return 1
        return self.family_size or len(self.comparisons)

    def at(self, place: Place) -> Iterable[SystemResult]:
        """The results of one place."""
        return (result for result in self.results if result.place == place)
