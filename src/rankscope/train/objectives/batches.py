"""Batches of samples, as pairs and a mask, in an order fixed by the seed.

The samples of all epochs are one endless sequence; update u takes the places u*B to (u+1)*B of
it. So the position in the data is a function of the update's number, no query is left out at the end
of an epoch, and a training that starts again needs no iterator to be restored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.pairs import JoinedPair, Text
from rankscope.train import facts
from rankscope.train.losses import Loss
from rankscope.train.masked import grid
from rankscope.train.objectives.objective import BatchOutcome

QUERIES_LOOKED_AT = 4
"""Queries of a batch that guards look at: a collapse shows in any query, and a look costs a forward pass."""
UPDATES_PER_BUCKET = 16  # samples are sorted by length among this many updates' worth


def outcome_of(loss: Loss, scores: Tensor, labels: Tensor, mask: Tensor) -> BatchOutcome:
    """The mean loss of a batch (0 if it has no unit of the loss) and its facts."""
    return BatchOutcome(
        loss.mean(scores, labels, mask), facts.seen(loss, scores.detach(), labels, mask)
    )


class PairBatch(NamedTuple):
    """A batch ready for the model: the pairs of all queries in one list, labels and mask by query."""

    pairs: list[JoinedPair]
    labels: Tensor
    mask: Tensor
    """labels and mask: (queries, docs)."""


def labelled(batch: Sequence[ListwiseSample]) -> tuple[Tensor, Tensor]:
    """Labels and mask of the samples' own docs, (queries, docs)."""
    width = max(len(sample.doc_ids) for sample in batch)
    mask = torch.tensor([[n < len(sample.doc_ids) for n in range(width)] for sample in batch])
    labels = torch.tensor([label for sample in batch for label in sample.labels])
    return grid(labels, mask), mask


def refuse_without_others(loss: Loss, labels: Tensor, mask: Tensor) -> None:
    """EmptyBatch for a batch whose queries are scored with each other's docs, and that teaches nothing.

    A query that has no other docs, because all others of the batch have its words, is no mistake: it has no loss.
    """
    has_others = mask.sum(dim=1) > 1
    if has_others.any():
        loss.refuse(labels[has_others], mask[has_others])
    elif len(mask) == 1:
        loss.refuse(labels, mask)


def shares_by_units(loss: Loss, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
    """Each batch's part of the units (pairs, docs, queries) that an update's loss is the mean over.

    EmptyBatch if the update, not if a batch, has nothing to learn from.
    """
    loss.refuse(*labelled([sample for batch in batches for sample in batch]))
    return _parts([int(loss.units(*labelled(batch))) for batch in batches])


def shares_by_queries(batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
    """Each batch's part of the queries of an update."""
    return _parts([len(batch) for batch in batches])


def _parts(sizes: Sequence[int]) -> list[float]:
    return [size / sum(sizes) for size in sizes]


def length_aware_order(
    lengths: Sequence[int], per_update: int, *, seed: int, epoch: int
) -> list[int]:
    """A random order in which the samples of one update are of similar length.

    Shuffle, sort by length within buckets of some updates, then shuffle the updates.
    """
    rng = stream(seed, "order", epoch)
    places = list(range(len(lengths)))
    rng.shuffle(places)
    size = UPDATES_PER_BUCKET * per_update
    chunks = []
    for start in range(0, len(places), size):
        bucket = sorted(places[start : start + size], key=lambda place: lengths[place])
        chunks += [bucket[i : i + per_update] for i in range(0, len(bucket), per_update)]
    short = chunks.pop() if chunks and len(chunks[-1]) < per_update else []
    rng.shuffle(chunks)
    chunks.append(short)  # last, so that no other update straddles two chunks
    return [place for chunk in chunks for place in chunk]


@final
@dataclass
class Order:
    """The order of samples: those of each update and batch."""

    epoch_samples: Callable[[int], Sequence[ListwiseSample]]
    """The samples of an epoch; the same number in every epoch."""
    length: Callable[[ListwiseSample], int]
    """The length of a sample's longest doc, in any unit."""
    queries_per_update: int
    queries_per_batch: int
    seed: int
    first_update: int = 0
    """The update at which the sequence of samples begins."""

    def __post_init__(self) -> None:
        self._epoch = -1
        self._samples: Sequence[ListwiseSample] = ()
        self._order: list[int] = []

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        start = (update - self.first_update) * self.queries_per_update
        samples = sorted(
            (self._sample(place) for place in range(start, start + self.queries_per_update)),
            key=self.length,
        )
        size = self.queries_per_batch
        return [samples[i : i + size] for i in range(0, len(samples), size)]

    def _sample(self, place: int) -> ListwiseSample:
        epoch, within = divmod(place, len(self._samples) or len(self.epoch_samples(0)))
        if epoch != self._epoch:
            self._samples, self._epoch = self.epoch_samples(epoch), epoch
            self._order = length_aware_order(
                [self.length(sample) for sample in self._samples],
                self.queries_per_update,
                seed=self.seed,
                epoch=epoch,
            )
        return self._samples[self._order[within]]


@final
@dataclass
class ListwiseObjective:
    """A loss over groups of docs that a cross-encoder scores, for the training loop."""

    ranker: CrossEncoder
    loss_function: Loss
    order: Order
    texts: Callable[[ListwiseSample], tuple[Text, Sequence[Text]]]
    """A sample's query and docs."""
    splits_batches: ClassVar[bool] = False

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        return self.order.batches(update)

    def shares(self, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
        """The weight of each batch's mean loss in that of the update."""
        return shares_by_units(self.loss_function, batches)

    def prepared(self, batch: Sequence[ListwiseSample]) -> PairBatch:
        """The batch as the model reads it; pure, so the loop may do it ahead of time."""
        pairs = self.ranker.pairs([self.texts(sample) for sample in batch])
        return PairBatch(pairs, *labelled(batch))

    def outcome(self, model: nn.Module, batch: PairBatch) -> BatchOutcome:
        """The loss of one batch; `model` is the ranker's, perhaps wrapped for several devices."""
        flat = self.ranker.logits(model, batch.pairs)
        mask, labels = batch.mask.to(flat.device), batch.labels.to(flat.device)
        return outcome_of(self.loss_function, grid(flat, mask), labels, mask)

    def looked_at(self, batch: PairBatch) -> PairBatch:
        """The first queries of a batch."""
        n = int(batch.mask[:QUERIES_LOOKED_AT].sum())
        few = slice(QUERIES_LOOKED_AT)
        return PairBatch(batch.pairs[:n], batch.labels[few], batch.mask[few])


@final
@dataclass
class MixedObjective:
    """The weighted sum of two objectives' losses, each over samples of its own."""

    first: ListwiseObjective
    second: ListwiseObjective
    weight: float
    """The weight of the second loss; the first has the rest."""
    splits_batches: ClassVar[bool] = False

    def batches(self, update: int) -> list[tuple[bool, Sequence[ListwiseSample]]]:
        """The batches of both; the first's come first."""
        firsts, seconds = self.first.batches(update), self.second.batches(update)
        return [(False, batch) for batch in firsts] + [(True, batch) for batch in seconds]

    def shares(self, batches: Sequence[tuple[bool, Sequence[ListwiseSample]]]) -> list[float]:
        """Each objective's shares among its own batches, times the weight of its loss."""
        firsts, seconds = (
            [batch for is_second, batch in batches if is_second is which] for which in (False, True)
        )
        return [
            *((1 - self.weight) * share for share in self.first.shares(firsts)),
            *(self.weight * share for share in self.second.shares(seconds)),
        ]

    def prepared(self, batch: tuple[bool, Sequence[ListwiseSample]]) -> tuple[bool, PairBatch]:
        """The batch as its own objective reads it."""
        is_second, samples = batch
        return is_second, self._of(is_second).prepared(samples)

    def outcome(self, model: nn.Module, batch: tuple[bool, PairBatch]) -> BatchOutcome:
        """The loss of one batch by its own objective; its weight is in its share."""
        is_second, group = batch
        return self._of(is_second).outcome(model, group)

    def looked_at(self, batch: tuple[bool, PairBatch]) -> tuple[bool, PairBatch]:
        """The first queries of a batch."""
        is_second, group = batch
        return is_second, self._of(is_second).looked_at(group)

    def _of(self, is_second: bool) -> ListwiseObjective:
        return self.second if is_second else self.first
