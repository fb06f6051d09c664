"""The forgetting matrix as it is stored: rankers x collections, each compared with its baseline."""

from dataclasses import dataclass, field

from rankscope.core.judged.comparisons import JudgedDifference, Place
from rankscope.core.judged.plain import FLAT


@dataclass(frozen=True)
class ReferenceMean:
    """The mean of a system that has no baseline itself."""

    system: str
    place: Place = field(metadata=FLAT)
    mean: float


@dataclass(frozen=True)
class MatrixCell:
    """A system compared with its baseline in one place."""

    system: str
    baseline: str
    place: Place = field(metadata=FLAT)
    is_tuned_from: bool
    """Whether the system was tuned from the baseline: only then can it forget."""
    is_taught: bool
    """Whether the baseline, or an ancestor of it, learnt from queries over the collection's docs."""
    is_taught_last: bool
    """The same, counted only since the baseline's own baseline."""
    judged: JudgedDifference = field(metadata=FLAT)


@dataclass(frozen=True)
class Matrix:
    """All cells, which are one family, and the terms on which they were judged."""

    measure: str
    margin: float | str | None
    """The margin as stated: a difference, or a share of the baseline's mean; None where none was."""
    significance_level: float
    correction: str
    references: tuple[ReferenceMean, ...]
    cells: tuple[MatrixCell, ...]
