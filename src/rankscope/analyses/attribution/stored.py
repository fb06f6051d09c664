"""The results of attribution as they are stored: shares by layer, concentration, ablation, and pairs of rankers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rankscope.core.judged.plain import FLAT


@dataclass(frozen=True)
class MeanOverExamples:
    """A mean over examples, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SiteNumbers:
    """One matrix of one side of a ranker."""

    layer: int
    """From 0."""
    name: str
    n_neurons: int
    share: MeanOverExamples
    """Its share of the sizes of all attributions."""
    change: MeanOverExamples
    gap: Mapping[str, float] | None
    """The median and the largest completeness gap as a share of the values' sizes, over examples without noise; None
    for the published method, and where all examples are noise."""
    active: MeanOverExamples
    active_once: int
    bins: tuple[float, ...]
    """The highest frequency of activity in each of ten bins of neurons."""
    concentration: Mapping[str, MeanOverExamples]


@dataclass(frozen=True)
class AblationCurves:
    """Mean targets by the number of neurons deleted, or kept alone, and the advantage of top over random ones."""

    counts: tuple[int, ...]
    whole: float
    none: float
    deleted: tuple[float, ...]
    deleted_random: tuple[float, ...]
    inserted: tuple[float, ...]
    inserted_random: tuple[float, ...]
    advantage: tuple[MeanOverExamples, ...]


@dataclass(frozen=True)
class SitePart:
    """A matrix's part of an example's target."""

    layer: int
    name: str
    value: float


@dataclass(frozen=True)
class NeuronPart:
    """A neuron's part of an example's target."""

    layer: int
    name: str
    neuron: int
    value: float


@dataclass(frozen=True)
class LowExample:
    """An example of a low target, and where its target comes from."""

    query_id: str
    doc_ids: tuple[str, ...]
    """The relevant doc first."""
    target: float
    parts: tuple[SitePart, ...]
    neurons: tuple[NeuronPart, ...]


@dataclass(frozen=True)
class SideNumbers:
    """One side of a ranker: query or document, or pairs."""

    target: MeanOverExamples
    threshold: float
    """The share of an example's largest value above which neurons are active."""
    share_of_noise: float
    is_degenerate: bool
    whole: Mapping[str, MeanOverExamples]
    """The concentration over all matrices."""
    sites: tuple[SiteNumbers, ...]
    ablation: AblationCurves | None
    examples: tuple[LowExample, ...]


@dataclass(frozen=True)
class PairedSite:
    """A matrix of a ranker, beside that of a baseline."""

    ranker: str
    baseline: str
    side: str
    layer: int
    name: str


@dataclass(frozen=True)
class ConcentrationDifference:
    """The concentration of a matrix minus the baseline's, with a verdict corrected over a side's matrices."""

    site: PairedSite = field(metadata=FLAT)
    measure: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    corrected_p: float
    verdict: str
    """more concentrated, less concentrated, equivalent or cannot tell."""


@dataclass(frozen=True)
class JaccardIndex:
    """A Jaccard index with its interval; None where no neuron is active."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ActiveOverlap:
    """How many neurons are active in a ranker, in its baseline and in both, as means over examples."""

    site: PairedSite = field(metadata=FLAT)
    n_first: float
    n_second: float
    n_both: float
    by_chance: float | None
    """The Jaccard index of random sets of the same sizes."""
    jaccard: JaccardIndex


class NamedSide(NamedTuple):
    """One side of a ranker, by name."""

    ranker: str
    side: str
    numbers: SideNumbers


@dataclass(frozen=True)
class StoredAttribution:
    """The attribution of all rankers' neurons over the same examples."""

    method: str
    path: str
    nodes: int
    n_examples: int
    baselines: tuple[str, ...]
    rankers: Mapping[str, Mapping[str, SideNumbers]]
    comparisons: tuple[ConcentrationDifference, ...]
    overlaps: tuple[ActiveOverlap, ...]
    notes: tuple[str, ...]
    collection: str | None = None
    """The collection that a study names; None for a file's examples, and in what a step stores."""

    @property
    def sides(self) -> Iterator[NamedSide]:
        """Every ranker's sides."""
        for ranker, ranker_sides in self.rankers.items():
            for side, numbers in ranker_sides.items():
                yield NamedSide(ranker, side, numbers)
