"""Samples to padded tensors and a mask, in an order fixed by the seed.

The samples of all epochs are one endless sequence; update u takes the places u*B to (u+1)*B of
it. So the place in the data is a function of the update's number, no query is left out at the end
of an epoch, and a training that starts again needs no iterator to be restored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from rankscope.core.records import ListwiseSample
from rankscope.core.rng import stream
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.train import facts
from rankscope.train.losses import Loss, grid, spread

UPDATES_PER_BUCKET = 16  # samples are sorted by length among this many updates' worth


class Outcome(NamedTuple):
    """What one batch gives: its mean loss, and what the guards look at."""

    loss: Tensor
    score_spread: float | None
    """How far the scores of a query are apart."""
    tied_share: float | None = None
    learning: Mapping[str, Tensor] = {}
    """Means that are logged at every update (`facts.learning`)."""


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
class ListwiseObjective:
    """A loss over groups of docs, for the training loop."""

    ranker: CrossEncoder
    loss_function: Loss
    epoch_samples: Callable[[int], Sequence[ListwiseSample]]
    """The samples of an epoch; the same number in every epoch."""
    texts: Callable[[ListwiseSample], tuple[str, list[str]]]
    """A sample's query and docs."""
    length: Callable[[ListwiseSample], int]
    """How long a sample's longest doc is, in any unit."""
    queries_per_update: int
    queries_per_batch: int
    seed: int

    def __post_init__(self) -> None:
        self._epoch = -1
        self._samples: Sequence[ListwiseSample] = ()
        self._order: list[int] = []

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        start = update * self.queries_per_update
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

    def outcome(self, model: nn.Module, batch: Sequence[ListwiseSample]) -> Outcome:
        """The loss of one batch; `model` is the ranker's, perhaps wrapped for several devices."""
        encoded, size = [], max(len(sample.doc_ids) for sample in batch)
        for sample in batch:
            query, docs = self.texts(sample)
            encoded += self.ranker.encode([(query, doc) for doc in docs])
        flat = self.ranker.logits(model, encoded)
        where = flat.device
        mask = torch.tensor(
            [[place < len(sample.doc_ids) for place in range(size)] for sample in batch]
        ).to(where)
        labels = torch.tensor([label for sample in batch for label in sample.labels]).to(where)
        scores, known = grid(flat, mask), grid(labels, mask)
        loss, seen = self.loss_function(scores, known, mask), scores.detach()
        learning = facts.learning(self.loss_function, seen, known, mask)
        return Outcome(loss, spread(seen, mask), facts.tied_share(seen, mask), learning)
