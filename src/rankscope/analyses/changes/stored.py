"""The changes between two rankers as they are stored: weights, states, rankings, and the control with refitted heads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from rankscope.core.judged.comparisons import JudgedDifference
from rankscope.core.judged.plain import FLAT, Estimate


@dataclass(frozen=True)
class ModuleDisplacement:
    """How far a module's weights moved, and in how many directions."""

    module: str
    """Its name in the model."""
    n_weights: int
    moved: float
    """||after - before||, the Frobenius norm over matrix and bias."""
    size: float
    """||before||."""
    effective_rank: float | None
    """The effective rank of the update of its matrix, the largest if there are several; None without a matrix."""
    highest_rank: int | None
    tower: str
    """query or document; empty where one encoder reads both."""
    layer: int
    """0 for the input of the first block, n for the nth block, and one above the last for whatever follows it."""
    part: str
    """The module's name inside the layer, such as attention.self.query."""
    displacement: float | None
    """||after - before|| / ||before||; None for weights that were all 0 and have changed."""


@dataclass(frozen=True)
class LayerDisplacement:
    """How far the weights of a tower's layer moved, over all its modules."""

    tower: str
    layer: int
    displacement: float | None


@dataclass(frozen=True)
class StateChange:
    """The change in the states of one layer; None where the states of a layer do not vary."""

    side: str
    layer: int
    n_texts: int
    k: int
    """How many nearest neighbours of a text are compared."""
    chance: float
    """The share of neighbours that two unrelated layers have in common."""
    shift: Estimate
    cka: Estimate | None
    neighbours: Estimate | None


@dataclass(frozen=True)
class RankingChange:
    """The agreement of two rankers' orders of the same docs, as means over queries."""

    n_queries: int
    depth: int
    persistence: float
    chance: float
    """The overlap of two random orders of the same docs."""
    overlap: Estimate
    """Rank-biased overlap, extrapolated."""
    tau: Estimate
    """Kendall's tau-b."""
    correlation: Estimate
    """Pearson's correlation of the scores."""
    same_first: Estimate
    """The share of queries with the same doc first."""
    tied: Mapping[str, float]
    """before and after to the share of docs that share their score with another doc of the query in that ranker."""


@dataclass(frozen=True)
class StoredChanges:
    """All changes between two rankers over a collection."""

    before: str
    after: str
    collection: str
    depth: int
    """Blocks of an encoder: the states' last layer."""
    displacement: float | None
    """Of all weights together."""
    modules: tuple[ModuleDisplacement, ...]
    layers: tuple[LayerDisplacement, ...]
    states: tuple[StateChange, ...]
    rankings: RankingChange


class Conclusion(StrEnum):
    """Where a loss lies."""

    NO_LOSS = "no loss"
    IN_ENCODER = "encoder"
    IN_HEAD = "head"
    CANNOT_TELL = "cannot tell"
    TOO_WEAK = "heads too weak"


@dataclass(frozen=True)
class HeadComparisons:
    """The comparisons of the control."""

    loss: JudgedDifference
    """After against before, each with its own head."""
    encoder: JudgedDifference
    """After against before, both with refitted heads."""
    head: JudgedDifference
    """After with a refitted head against its own."""
    control: JudgedDifference
    """Before with a refitted head against its own."""

    @property
    def by_name(self) -> dict[str, JudgedDifference]:
        """Each by the name under which it is stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class HeadsControl:
    """Heads refitted on the encoders of both, and where a loss lies."""

    measure: str
    margin: str
    n_queries: int
    means: Mapping[str, float]
    """Run (before, after, and each with a refitted head) to its mean."""
    comparisons: HeadComparisons
    conclusion: Conclusion
    n_examples: int
    n_fits: int
    """Heads refitted on each encoder."""
    n_unconverged: int
    penalties: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PairChanges:
    """What is shown of two rankers: their changes, and the control where heads were refitted."""

    changes: StoredChanges = field(metadata=FLAT)
    heads: HeadsControl | None
    notes: tuple[str, ...]
    """How the two read texts differently, and what may be rounding; a study has none."""
