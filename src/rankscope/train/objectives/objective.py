"""The protocols of an objective: batches and their losses, a state for checkpoints, samples that are refreshed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from rankscope.train.facts import BatchFacts


class BatchOutcome(NamedTuple):
    """The outcome of one batch: its mean loss, and facts for the log and the guards."""

    loss: Tensor
    seen: BatchFacts | None = None
    """None where no doc is scored."""


class Objective(Protocol):
    """The batches of an update, and the loss of a batch."""

    @property
    def splits_batches(self) -> bool:
        """Whether all processes do every batch together, a part each, and each has its whole loss."""
        ...

    def batches(self, update: int) -> Sequence[Any]:
        """The contents of the update's batches; their number is the same in every update."""
        ...

    def shares(self, batches: Sequence[Any]) -> Sequence[float]:
        """The weight of each batch's mean loss in that of the update.

        The weights are known before any batch is done, so that every process knows all. EmptyBatch for an update that has
        nothing to learn from.
        """
        ...

    def prepared(self, batch: Any) -> Any:
        """A batch as the model reads it; pure, for it is made ahead of time in a thread."""
        ...

    def outcome(self, model: Any, batch: Any) -> BatchOutcome:
        """The mean loss of one prepared batch; 0 if only other batches of its update have a loss."""
        ...

    def looked_at(self, batch: Any) -> Any:
        """The part of a prepared batch that the guards look at: some of its queries; None without any."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An objective whose next loss depends on more than the weights and the update's number."""

    def state(self) -> Mapping[str, Tensor]:
        """Its state, for a checkpoint."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """An objective whose samples are made again, before some updates, with the weights of that moment."""

    def is_due(self, update: int) -> bool:
        """Whether new samples are due before an update."""
        ...

    def refresh(self, update: int) -> None:
        """Make the samples from this update on, with the model that was given to `fit`."""
        ...

    def begin(self, update: int) -> None:
        """Restore the samples of an update at which a training resumes."""
        ...

    def found_at(self, update: int) -> int | None:
        """The earlier update at which the run behind an update's samples was searched; None without one."""
        ...
