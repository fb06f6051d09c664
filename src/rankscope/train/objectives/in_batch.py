"""A bi-encoder's scores over a batch: each query against its own group, or every doc of the batch.

In-batch negatives are the docs of the other queries (Karpukhin et al. 2020, DPR). A doc of several
queries stands once, and so do docs of the same words; one that is known to be relevant for a query, is
the positive of a query of the same words, or is in its group, is no negative of it. A query that is left
without a negative has no loss.

A batch is one thing however many processes there are (`objectives.together`), so negatives come across
devices. Where it gives the negatives, it is also one thing among the batches of its update: each
counts by its queries, and other batches are another loss.
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
from rankscope.train.objectives.objective import Outcome
from rankscope.train.objectives.together import exact, together

Known = Callable[[str, str], bool]
"""Whether a doc (second) is known to be relevant for a query (first)."""


class Texts(NamedTuple):
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
    """What similarities are divided by before the loss."""
    processes: Processes = field(default=ALONE)
    refreshed: Callable[[int], Order] | None = None
    """Which samples are in which update from one on, with negatives found anew."""
    refresh_every: int | None = None
    splits_batches: ClassVar[bool] = True

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        return self.order.batches(update)

    def shares(self, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
        """What each batch's mean loss counts in that of the update."""
        if self.all_docs:
            return shares_by_queries(batches)
        return shares_by_units(self.loss_function, batches)

    def is_due(self, update: int) -> bool:
        """Whether negatives are found anew before an update."""
        return bool(self.refresh_every and update and update % self.refresh_every == 0)

    def refresh(self, update: int) -> None:
        """Find negatives anew, as an update that is due wants them."""
        assert self.refreshed is not None
        self.order = self.refreshed(update)

    def begin(self, update: int) -> None:
        """Have the negatives that an update is trained with, if not those of the beginning."""
        if self.refresh_every and update >= self.refresh_every:
            self.refresh(update - update % self.refresh_every)

    def found_at(self, update: int) -> int | None:
        """The earlier update whose finds an update is trained with: the weights are others by now."""
        if not self.refresh_every or update < self.refresh_every or self.is_due(update):
            return None
        return update - update % self.refresh_every

    def prepared(self, batch: Sequence[ListwiseSample]) -> Texts:
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
        return Texts(inputs, columns, labels, mask)

    def _rows(
        self, batch: Sequence[ListwiseSample], asked: Sequence[str], places: Mapping[str, int]
    ) -> list[list[tuple[int, float]]]:
        """(place, label) of each query's candidates, its own group first. `asked`: the queries' words."""
        wanted: dict[str, set[int]] = {}
        for query, sample in zip(asked, batch, strict=True):
            positives = (
                doc for doc, label in zip(sample.doc_ids, sample.labels, strict=True) if label > 0
            )
            wanted.setdefault(query, set()).update(places[doc_id] for doc_id in positives)
        return [
            self._row(sample, places, wanted[query])
            for query, sample in zip(asked, batch, strict=True)
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

    def outcome(self, model: nn.Module, batch: Texts) -> Outcome:
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

    def looked_at(self, batch: Texts) -> Texts:
        """The whole batch: its queries are scored with each other's docs."""
        return batch
