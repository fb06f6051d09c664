"""A bi-encoder's scores over a batch: each query against its own group, or every doc of the batch.

In-batch negatives are the docs of the other queries (Karpukhin et al. 2020, DPR). A doc of several
queries is one candidate, and so are docs of the same words. A doc is no negative of a query if it is known
to be relevant for it, is the positive of a query of the same words, or is in its group. A query that is
left without a negative has no loss.

A batch is the same for any number of processes (`objectives.together`), so negatives come from all devices. Where
batches give the negatives, those of one update count by their queries, and cutting an update into other batches
changes its loss.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn

from rankscope.core.records import ListwiseSample
from rankscope.core.words import words
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.processes import ALONE, Processes
from rankscope.models.ranker import Side
from rankscope.models.towers import Input
from rankscope.train.losses import Loss
from rankscope.train.objectives.batches import (
    Order,
    outcome_of,
    refuse_without_others,
    shares_by_queries,
    shares_by_units,
)
from rankscope.train.objectives.objective import BatchOutcome
from rankscope.train.objectives.together import exact, together

Known = Callable[[str, str], bool]
"""Whether a doc (second) is known to be relevant for a query (first)."""


class TextBatch(NamedTuple):
    """A batch ready for the towers, and which docs each query is scored with."""

    inputs: dict[Side, list[Input]]
    """Queries, and distinct docs."""
    columns: Tensor
    """(queries, candidates): places among the distinct docs."""
    labels: Tensor
    mask: Tensor
    """labels and mask: (queries, candidates)."""


@final
@dataclass
class InBatchObjective:
    """A loss over the similarities of a batch, for the training loop."""

    ranker: BiEncoder
    loss_function: Loss
    order: Order
    texts: Callable[[ListwiseSample], tuple[str, Sequence[str]]]
    """A sample's query and docs."""
    is_known: Known
    all_docs: bool = True
    """Whether a query is scored with the other queries' docs too."""
    temperature: float = 1.0
    """Divides similarities before the loss."""
    processes: Processes = field(default=ALONE)
    refreshed: Callable[[int], Order] | None = None
    """From an update to the order of samples from there on, with new negatives."""
    refresh_every: int | None = None
    splits_batches: ClassVar[bool] = True

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        return self.order.batches(update)

    def shares(self, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
        """The weight of each batch's mean loss in that of the update."""
        if self.all_docs:
            return shares_by_queries(batches)
        return shares_by_units(self.loss_function, batches)

    def is_due(self, update: int) -> bool:
        """Whether new negatives are due before an update."""
        return bool(self.refresh_every and update and update % self.refresh_every == 0)

    def refresh(self, update: int) -> None:
        """Take new negatives, which are due before this update."""
        assert self.refreshed is not None
        self.order = self.refreshed(update)

    def begin(self, update: int) -> None:
        """Take the negatives that an update is trained with, where new ones were due before it."""
        if self.refresh_every and update >= self.refresh_every:
            self.refresh(update - update % self.refresh_every)

    def found_at(self, update: int) -> int | None:
        """The earlier update whose retrieved docs an update is trained with; None where there is none."""
        if not self.refresh_every or update < self.refresh_every or self.is_due(update):
            return None
        return update - update % self.refresh_every

    def prepared(self, batch: Sequence[ListwiseSample]) -> TextBatch:
        """The batch as the towers read it; pure, so the loop may do it ahead of time."""
        queries: list[str] = []
        docs: dict[str, tuple[int, str]] = {}  # by words
        places: dict[str, int] = {}  # by id
        for sample in batch:
            query, texts = self.texts(sample)
            queries.append(query)
            for doc_id, text in zip(sample.doc_ids, texts, strict=True):
                at, _ = docs.setdefault(words(text), (len(docs), text))
                places[doc_id] = at
        rows = self._rows(batch, [words(query) for query in queries], places)
        width = max(len(row) for row in rows)
        columns = torch.zeros(len(batch), width, dtype=torch.int64)
        labels, mask = (
            torch.zeros(len(batch), width),
            torch.zeros(len(batch), width, dtype=torch.bool),
        )
        for n, row in enumerate(rows):
            columns[n, : len(row)] = torch.tensor([at for at, _ in row])
            labels[n, : len(row)] = torch.tensor([label for _, label in row])
            mask[n, : len(row)] = True
        inputs: dict[Side, list[Input]] = {
            "query": self.ranker.inputs(queries, "query"),
            "document": self.ranker.inputs([text for _, text in docs.values()], "document"),
        }
        return TextBatch(inputs, columns, labels, mask)

    def _rows(
        self, batch: Sequence[ListwiseSample], query_words: Sequence[str], places: Mapping[str, int]
    ) -> list[list[tuple[int, float]]]:
        """(place, label) of each query's candidates, its own group first. `query_words`: the words of each query."""
        wanted: dict[str, set[int]] = {}
        for query, sample in zip(query_words, batch, strict=True):
            positives = (
                doc for doc, label in zip(sample.doc_ids, sample.labels, strict=True) if label > 0
            )
            wanted.setdefault(query, set()).update(places[doc_id] for doc_id in positives)
        return [
            self._row(sample, places, wanted[query])
            for query, sample in zip(query_words, batch, strict=True)
        ]

    def _row(
        self, sample: ListwiseSample, places: Mapping[str, int], wanted: AbstractSet[int]
    ) -> list[tuple[int, float]]:
        """(place, label) of a query's candidates. `wanted`: the positives of all queries of its words."""
        own: dict[int, float] = {}
        for doc_id, label in zip(sample.doc_ids, sample.labels, strict=True):
            at = places[doc_id]
            own[at] = max(label, own.get(at, label))
        if not self.all_docs:
            return list(own.items())
        own = {at: label for at, label in own.items() if label > 0 or at not in wanted}
        known = {at for doc_id, at in places.items() if self.is_known(sample.query_id, doc_id)}
        others = set(places.values()) - own.keys() - wanted - known
        return [*own.items(), *((at, 0.0) for at in sorted(others))]

    def outcome(self, model: nn.Module, batch: TextBatch) -> BatchOutcome:
        """The loss of one batch; `model` is the ranker's, perhaps wrapped for several devices."""
        embeddings = together(self.ranker, model, batch.inputs, self.processes)
        where = embeddings["query"].device
        columns, labels, mask = (t.to(where) for t in (batch.columns, batch.labels, batch.mask))
        with exact(where):
            similarities = self.ranker.similarity(embeddings["query"], embeddings["document"])
            scores = similarities.gather(1, columns) / self.temperature
            if self.all_docs:
                refuse_without_others(self.loss_function, labels, mask)
            return outcome_of(self.loss_function, scores, labels, mask)

    def looked_at(self, batch: TextBatch) -> TextBatch:
        """The whole batch: its queries are scored with each other's docs."""
        return batch
