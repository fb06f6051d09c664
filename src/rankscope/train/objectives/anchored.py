"""Queries learnt against the embeddings of a copy of the ranker, through which no gradient goes.

- `MomentumObjective`: momentum contrast (He et al. 2020), as Contriever is pre-trained (Izacard et al.
  2022): the copy follows the ranker slowly, and a queue of what it embedded before gives the negatives.
- `AlignedObjective`: noise-robust post-training (after CAPOT, Campos et al. 2023): the copy stays as the
  ranker was, and a noisy query is drawn to where it has the clean one, or to scoring docs as that one does.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from rankscope.core.errors import BadInput
from rankscope.core.records import ListwiseSample
from rankscope.core.words import words
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.processes import ALONE, Processes, is_sharded
from rankscope.models.ranker import Side
from rankscope.models.towers import Input
from rankscope.train import facts
from rankscope.train.losses import LOSSES
from rankscope.train.objectives.batches import (
    QUERIES_LOOKED_AT,
    Order,
    outcome_of,
    refuse_without_others,
    shares_by_queries,
)
from rankscope.train.objectives.objective import BatchOutcome
from rankscope.train.objectives.together import exact, together

CONTRAST, DIVERGENCE = LOSSES["info_nce"], LOSSES["kl"]
DOCS_LOOKED_AT = 32


class Couples(NamedTuple):
    """Texts ready for the towers, in couples that belong together."""

    firsts: list[Input]
    seconds: list[Input]
    others: Tensor
    """(couples, couples): whether the seconds of two differ, so that one may be a negative of the other."""


TextsOf = Callable[[ListwiseSample], tuple[str, str]]
"""A sample's two texts."""


def _contrast(scores: Tensor, temperature: float, mask: Tensor | None = None) -> BatchOutcome:
    """The contrast of each query's positive (first column) with all other candidates: (queries, candidates)."""
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1.0
    scaled = scores / temperature
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    refuse_without_others(CONTRAST, labels, mask)
    return outcome_of(CONTRAST, scaled, labels, mask)


def _others(texts: Sequence[str], tokens: Sequence[Input]) -> Tensor:
    """(texts, texts): whether two texts differ, in their words and as they are read."""
    by_words = _numbered([words(text) for text in texts])
    read = _numbered([tuple(text_tokens.ids.tolist()) for text_tokens in tokens])
    return (by_words[:, None] != by_words) & (read[:, None] != read)


def _numbered(values: Sequence[Hashable]) -> Tensor:
    """Equal numbers for equal values."""
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(value, len(numbers)) for value in values])


def _couples(
    texts: Sequence[tuple[str, str]], tokens: Callable[[Sequence[str]], list[Input]]
) -> Couples:
    firsts, seconds = zip(*texts, strict=True)
    read = tokens(seconds)
    return Couples(tokens(firsts), read, _others(seconds, read))


def _copy_of(ranker: BiEncoder) -> BiEncoder:
    copied = BiEncoder(deepcopy(ranker.inner))
    copied.model.requires_grad_(False)
    return copied


def _refuse_shards(model: nn.Module) -> None:
    if is_sharded(model):
        raise BadInput(
            "The stage needs a second copy of the model, which FSDP's shards do not have. Train it "
            "without FSDP."
        )


@final
@dataclass
class MomentumObjective:
    """Two crops of a doc belong together; other docs' crops of earlier updates are the negatives."""

    ranker: BiEncoder
    order: Order
    texts: TextsOf
    temperature: float
    momentum: float
    """The share of its own weights that the copy keeps at each update."""
    size: int
    """Embeddings in the queue."""
    seed: int
    processes: Processes = field(default=ALONE)
    splits_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        drawn = torch.Generator().manual_seed(self.seed)
        queue = normalize(torch.randn(self.size, self.ranker.width, generator=drawn), dim=-1)
        self._copy, self._queue, self._place = _copy_of(self.ranker), queue, 0

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        return self.order.batches(update)

    def shares(self, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
        """The weight of each batch's mean loss in that of the update: by its queries."""
        return shares_by_queries(batches)

    def prepared(self, batch: Sequence[ListwiseSample]) -> Couples:
        """The batch as the towers read it; pure, so the loop may do it ahead of time."""
        return _couples(
            [*map(self.texts, batch)], lambda texts: self.ranker.inputs(texts, "document")
        )

    def outcome(self, model: nn.Module, batch: Couples) -> BatchOutcome:
        """The loss of one batch; in training, the copy moves on and the queue takes the batch in."""
        _refuse_shards(model)
        mine, copy = self.ranker, self._copy
        firsts: dict[Side, list[Input]] = {"document": batch.firsts}
        embedded = together(mine, model, firsts, self.processes)["document"]
        with torch.no_grad():
            if model.training:
                self._follow()
            copy.model.train(model.training)
            others: dict[Side, list[Input]] = {"document": batch.seconds}
            copied = together(copy, copy.model, others, self.processes, purpose="copy")
        self._queue = self._queue.to(embedded.device)
        with exact(embedded.device):
            queries, keys = mine.searchable(embedded), copy.searchable(copied["document"])
            own = (queries * keys).sum(dim=1, keepdim=True)
            outcome = _contrast(torch.cat([own, queries @ self._queue.T], dim=1), self.temperature)
        if model.training:
            self._take_in(keys)
        return outcome

    def looked_at(self, batch: Couples) -> Couples:
        """The first docs of a batch."""
        few = slice(QUERIES_LOOKED_AT)
        return Couples(batch.firsts[few], batch.seconds[few], batch.others[few, few])

    def _follow(self) -> None:
        self._copy.model.to(self.ranker.where)
        old, new = self._copy.model.parameters(), self.ranker.model.parameters()
        for slow, fast in zip(old, new, strict=True):
            slow.mul_(self.momentum).add_(fast, alpha=1 - self.momentum)

    def _take_in(self, keys: Tensor) -> None:
        """Put embeddings into the queue in place of the oldest; from a batch larger than the queue, its last."""
        places = (self._place + torch.arange(len(keys), device=keys.device)) % self.size
        kept = slice(-self.size, None)
        self._queue = self._queue.index_copy(0, places[kept], keys.detach()[kept].float())
        self._place = (self._place + len(keys)) % self.size

    def state(self) -> dict[str, Tensor]:
        """The state that the next update depends on beside the weights: the copy, the queue, the place in it."""
        weights = {f"copy/{n}": w.detach() for n, w in self._copy.model.named_parameters()}
        return weights | {"queue": self._queue, "place": torch.tensor(self._place)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        with torch.no_grad():
            for name, weight in self._copy.model.named_parameters():
                weight.copy_(state[f"copy/{name}"])
        self._queue, self._place = state["queue"], int(state["place"])


@final
@dataclass
class AlignedObjective:
    """A noisy query belongs to its clean form, as the ranker had it at the start.

    With `docs`, it is to score them as the clean one did: the divergence of its softmax over docs from the
    clean one's (self-teaching: Zhuang & Zuccon 2022). Without, it is contrasted with the batch's other clean queries.
    """

    ranker: BiEncoder
    order: Order
    texts: TextsOf
    """A sample's noisy and clean query."""
    temperature: float
    alignment: float
    """The weight of the distance that clean queries have moved, beside the loss."""
    docs: Callable[[Tensor], Tensor] | None = None
    """From clean queries' embeddings (queries, width) to those of docs near them (docs, width)."""
    processes: Processes = field(default=ALONE)
    splits_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._copy = _copy_of(self.ranker)
        self._copy.model.eval()

    def batches(self, update: int) -> list[Sequence[ListwiseSample]]:
        """The samples of one update, in batches of similar length."""
        return self.order.batches(update)

    def shares(self, batches: Sequence[Sequence[ListwiseSample]]) -> list[float]:
        """The weight of each batch's mean loss in that of the update: by its queries."""
        return shares_by_queries(batches)

    def prepared(self, batch: Sequence[ListwiseSample]) -> Couples:
        """The batch as the query tower reads it; pure, so the loop may do it ahead of time."""
        return _couples([*map(self.texts, batch)], lambda texts: self.ranker.inputs(texts, "query"))

    def outcome(self, model: nn.Module, batch: Couples) -> BatchOutcome:
        """The loss of noisy queries against the clean ones, and of the distance that the clean ones have moved."""
        _refuse_shards(model)
        self._copy.model.to(self.ranker.where)
        read = batch.firsts + batch.seconds if self.alignment else batch.firsts
        sides: dict[Side, list[Input]] = {"query": read}
        both = together(self.ranker, model, sides, self.processes)["query"]
        with torch.no_grad():
            ours: dict[Side, list[Input]] = {"query": batch.seconds}
            copied = together(self._copy, self._copy.model, ours, self.processes, purpose="copy")
        n, where = len(batch.seconds), both.device
        with exact(where):
            queries = self.ranker.searchable(both)
            noisy, clean = queries[:n], queries[n:]
            anchors = self._copy.searchable(copied["query"])
            outcome = (
                self._among_queries(noisy, anchors, batch.others)
                if self.docs is None
                else self._among_docs(noisy, anchors, self.docs(anchors))
            )
            if not self.alignment:
                return outcome
            moved = (clean - anchors).square().sum(dim=1).mean()
            return outcome._replace(loss=outcome.loss + self.alignment * moved)

    def _among_queries(self, noisy: Tensor, anchors: Tensor, others: Tensor) -> BatchOutcome:
        turned = torch.arange(len(noisy), device=noisy.device)
        columns = (turned[:, None] + turned) % len(noisy)  # each query's own clean form first
        mask = others.to(noisy.device).gather(1, columns)
        mask[:, 0] = True
        return _contrast((noisy @ anchors.T).gather(1, columns), self.temperature, mask)

    def _among_docs(self, noisy: Tensor, anchors: Tensor, docs: Tensor) -> BatchOutcome:
        """Pairs in the right order are counted among the docs that the clean query has on top."""
        scores, wanted = noisy @ docs.T / self.temperature, anchors @ docs.T / self.temperature
        mask, seen = torch.ones_like(scores, dtype=torch.bool), scores.detach()
        top = wanted.topk(min(DOCS_LOOKED_AT, len(docs)), dim=1).indices
        near = (seen.gather(1, top), wanted.gather(1, top), mask.gather(1, top))
        batch_facts = facts.BatchFacts(
            facts.chance(DIVERGENCE, seen, wanted, mask),
            facts.right_pairs(*near),
            facts.spread(seen, mask),
            facts.tied_share(near[0], near[2]),
        )
        return BatchOutcome(DIVERGENCE(scores, wanted, mask), batch_facts)

    def looked_at(self, batch: Couples) -> Couples:
        """The whole batch: its queries are scored with each other."""
        return batch
