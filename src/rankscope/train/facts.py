"""Facts of a batch beside its loss: chance, pairs in the right order, spread, ties.

scores, labels: (queries, docs), float32. mask: the same shape, True where there is a doc. Shares and
means come as a total and a number, so that those of an update's batches add up.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rankscope.train.losses import Loss

PAIRS_AT_ONCE = 1 << 24
"""Pairs of docs held in memory at once."""


class Mean(NamedTuple):
    """A mean over pairs, neighbours or queries, as its total and count."""

    total: Tensor
    n: Tensor
    of_none: float = 0.0
    """The value of a mean over nothing."""

    @property
    def value(self) -> float:
        """The mean itself."""
        return float(self.total / self.n) if self.n else self.of_none


class BatchFacts(NamedTuple):
    """The facts of one batch."""

    chance: Tensor
    """What the loss would be if all scores of a query were equal."""
    right_pairs: Mean
    """Share of the pairs of docs that are in the right order."""
    score_spread: Mean
    """How far the scores of a query are apart."""
    tied_share: Mean
    """Share of neighbours in the rankings with equal scores."""


def seen(loss: Loss, scores: Tensor, labels: Tensor, mask: Tensor) -> BatchFacts:
    """All facts of a batch."""
    return BatchFacts(
        chance(loss, scores, labels, mask),
        right_pairs(scores, labels, mask),
        spread(scores, mask),
        tied_share(scores, mask),
    )


def chance(loss: Loss, scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """What the loss would be if all scores of a query were equal.

    Equal to their mean: a pointwise loss has its level right before it has anything learnt.
    """
    with torch.no_grad():
        return loss.mean(_query_means(scores, mask).expand_as(scores), labels, mask)


def right_pairs(scores: Tensor, labels: Tensor, mask: Tensor) -> Mean:
    """Share of the pairs with label i > label j whose score i is higher; a tie is half of one.

    One half is chance, however far apart the scores are; so it is where no labels differ.
    """
    lowest = labels.masked_fill(~mask, float("inf")).amin(dim=1, keepdim=True)
    above = ((labels > lowest) & mask).any(dim=0).nonzero()[:, 0]  # where a doc is above another
    size = max(1, PAIRS_AT_ONCE // labels.numel())
    right, n = scores.new_zeros(()), scores.new_zeros(())
    for at in range(0, len(above), size):
        some = above[at : at + size]
        better = labels[:, some, None] > labels[:, None, :]  # (queries, some docs, docs)
        pairs = better & mask[:, some, None] & mask[:, None, :]
        margins = scores[:, some, None] - scores[:, None, :]
        right += ((margins.sign() + 1) / 2).masked_fill(~pairs, 0).sum()
        n += pairs.sum()
    return Mean(right, n, of_none=0.5)


def tied_share(scores: Tensor, mask: Tensor) -> Mean:
    """Share of neighbours in the rankings with equal scores."""
    lowest_last = scores.masked_fill(~mask, float("-inf")).sort(dim=1, descending=True).values
    above, below = lowest_last[:, :-1], lowest_last[:, 1:]
    real = below.isfinite()
    return Mean(((above == below) & real).sum(), real.sum())


def spread(scores: Tensor, mask: Tensor) -> Mean:
    """Mean over queries of the standard deviation of a query's scores; 0 is a collapsed ranker."""
    differences = (scores - _query_means(scores, mask)).masked_fill(~mask, 0)
    n_docs = mask.sum(dim=1).clamp(min=1)
    deviations = (differences.square().sum(dim=1) / n_docs).sqrt()
    return Mean(deviations.sum(), mask.any(dim=1).sum())


def _query_means(scores: Tensor, mask: Tensor) -> Tensor:
    """The mean score of each query's docs; (queries, 1)."""
    n_docs = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return scores.masked_fill(~mask, 0).sum(dim=1, keepdim=True) / n_docs
