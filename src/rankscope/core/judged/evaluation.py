"""All that an evaluation found: what `evaluation.json` holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rankscope.core.judged.comparisons import JudgedComparison, Place, Verdict
from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import FLAT

EVALUATION = "evaluation.json"
"""What the file of it is called."""


@dataclass(frozen=True)
class SeedResult:
    """One training seed's run of a system, and what it measured."""

    name: str
    """Of the ranker that the seed made."""
    run: str
    """Where the run is, from the results folder."""
    missing_queries: tuple[str, ...]
    """Judged queries that it does not rank."""
    tied_share: float
    """Of neighbours in its rankings that had equal scores before they were written."""
    means: Mapping[str, float]
    """Measure to the mean over judged queries."""


@dataclass(frozen=True)
class SystemResult:
    """What a system measured over one collection, from one first stage; of several seeds, over them."""

    place: Place = field(metadata=FLAT)
    system: str
    run: str
    """The first seed's, where there are several."""
    n_queries: int
    missing_queries: tuple[str, ...]
    """Of any seed."""
    tied_share: float
    """The largest of any seed."""
    means: Mapping[str, float]
    runs: tuple[SeedResult, ...] = ()
    """Each seed's, where there are several."""
    seed_sd: Mapping[str, float] = field(default_factory=dict)
    """Measure to the standard deviation of the seeds' means, where there are several."""

    @property
    def seeds(self) -> tuple[SeedResult, ...]:
        """Each seed's result; a system of one run is its own, under its own name."""
        own = SeedResult(self.system, self.run, self.missing_queries, self.tied_share, self.means)
        return self.runs or (own,)


@dataclass(frozen=True)
class Claimed:
    """What somebody concluded of systems, in words and as a verdict."""

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
    """What to know before the findings are believed."""
    remarks: tuple[str, ...]
    """What else is to be said of the means."""
    tests: str
    """sound, or as_published."""
    relevance_levels: Mapping[str, int]
    """Collection to the lowest grade that counts as relevant."""
    measures: tuple[str, ...]
    """The first is the headline."""
    significance_level: float
    correction: str
    margin: Mapping[str, float | str]
    """Measure to the margin as it was stated: a difference, or a share of the baseline's mean such as "5%"."""
    baselines: tuple[str, ...]
    all_pairs: bool
    """Whether every two systems are compared, no baseline having been named."""
    claims: tuple[Claimed, ...]
    results: tuple[SystemResult, ...]
    comparisons: tuple[JudgedComparison, ...]
    pooled: tuple[JudgedOverTests, ...]
    family_size: int | None = None
    """How many comparisons were declared beforehand; None where as many as were made."""

    @property
    def headline(self) -> str:
        """The measure that findings are told on."""
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
        """For how many comparisons p-values are corrected; 1 where they are not."""
        if self.correction == "none":
            return 1
        return self.family_size or len(self.comparisons)

    def at(self, place: Place) -> Iterable[SystemResult]:
        """The results of one place."""
        return (result for result in self.results if result.place == place)
