"""What a training asks of what is learnt: batches, their losses, and what else some remember or make anew."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from rankscope.train.facts import BatchFacts


class BatchOutcome(NamedTuple):
    """What one batch gives: its mean loss, and what is logged and looked at by the guards."""

    loss: Tensor
    seen: BatchFacts | None = None
    """None where no doc is scored."""


class Objective(Protocol):
    """What is learnt: batches of an update, and the loss of a batch."""

    @property
    def splits_batches(self) -> bool:
        """Whether all processes do every batch together, a part each, and each has its whole loss."""
        ...

    def batches(self, update: int) -> Sequence[Any]:
        """What the update's batches hold; their number is the same in every update."""
        ...

    def shares(self, batches: Sequence[Any]) -> Sequence[float]:
        """What the mean loss of each of an update's batches counts in the update's.

        Known before any is done, so that every process knows all. EmptyBatch for an update that has
        nothing to learn from.
        """
        ...

    def prepared(self, batch: Any) -> Any:
        """A batch as the model reads it; pure, for it is made ahead of time in a thread."""
        ...

    def outcome(self, model: Any, batch: Any) -> BatchOutcome:
        """The mean loss of one prepared batch; 0 where only others of its update have one."""
        ...

    def looked_at(self, batch: Any) -> Any:
        """What the guards look at of a prepared batch: some of its queries; None where it has none."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An objective whose next loss depends on more than the weights and the update's number."""

    def state(self) -> Mapping[str, Tensor]:
        """What it remembers, for a checkpoint."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to what it remembered."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """An objective whose samples depend, from some updates on, on the weights as they are then."""

    def is_due(self, update: int) -> bool:
        """Whether that is so before an update."""
        ...

    def refresh(self, update: int) -> None:
        """Make the samples from there on, by the model that was given to `fit`."""
        ...

    def begin(self, update: int) -> None:
        """Have the samples of an update at which a training goes on."""
        ...

    def found_at(self, update: int) -> int | None:
        """The earlier update at which what its samples are made of was found; None where none was."""
        ...
