"""The results of probes as they are stored: the accuracy of each probe on each layer, and what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rankscope.core.judged.comparisons import Verdict
from rankscope.core.judged.plain import FLAT

FIRST_STAGE = "first stage"
"""The name of the run that the negatives come from, and the kind of its one point."""


@dataclass(frozen=True)
class LayerDifference:
    """A probe's accuracy minus that on the same layer of a baseline, with a verdict corrected over the layers."""

    baseline: str
    difference: float
    difference_low: float
    difference_high: float
    corrected_p: float
    verdict: Verdict
    smallest_detectable: float | None
    published_p: float | None
    """The p of study A's own test, for its own probe."""


@dataclass(frozen=True)
class LayerAccuracy:
    """One probe on one layer of one ranker, for choices among n docs, and its comparison with one baseline."""

    ranker: str
    probe: str
    layer: int
    n: int
    kind: str
    """The kind of its curve in the report: probe, control, or first stage."""
    accuracy: float
    low: float
    high: float
    chance: float
    against: LayerDifference | None = field(metadata=FLAT)
    """None where no baseline has such a layer; a row for each baseline where several have."""


@dataclass(frozen=True)
class LayerMatches:
    """Whether a layer reads matches: a probe compared with the same probe on another query, corrected over the layers."""

    ranker: str
    probe: str
    layer: int
    n: int
    control: str
    difference: float
    verdict: Verdict


@dataclass(frozen=True)
class PublishedAccuracy:
    """A paper's accuracy of a ranker."""

    ranker: str
    n: int
    layer: int
    accuracy: float


@dataclass(frozen=True)
class StoredProbes:
    """The accuracies of all probes over the same examples."""

    n_examples: int
    n_queries: int
    rankers: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: tuple[LayerAccuracy, ...]
    reads_matches: tuple[LayerMatches, ...]
    readable_from: Mapping[str, float | None]
    """Ranker to the first layer, as a share of its depth, from which on every layer reads matches."""
    notes: tuple[str, ...]
    published: tuple[PublishedAccuracy, ...] | None = None
    """None where there is no study file, which names a paper's points."""

    def points(self, n: int) -> list[LayerAccuracy]:
        """The rows of n docs with each accuracy once, though it may be compared with several baselines."""
        rows = (row for row in self.rows if row.n == n)
        return list({(row.ranker, row.probe, row.layer): row for row in rows}.values())
