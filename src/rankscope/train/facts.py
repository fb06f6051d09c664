"""What a batch shows of the learning, beside its loss: chance, pairs in the right order, ties.

scores, labels: (queries, docs), float32. mask: the same shape, True where there is a doc.
"""

import torch
from torch import Tensor

from rankscope.train.losses import Loss

PAIRS_AT_ONCE = 1 << 24
"""Pairs of docs held in memory at once."""


def learning(loss: Loss, scores: Tensor, labels: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """What the loss would be if all scores were equal, and the share of pairs in the right order.

    Equal to their mean: a pointwise loss has its level right before it has anything learnt.
    """
    with torch.no_grad():
        mean = scores.masked_fill(~mask, 0).sum() / mask.sum()
        chance = loss(torch.zeros_like(scores) + mean, labels, mask)
        return {"chance": chance, "right_pairs": right_pairs(scores, labels, mask)}


def right_pairs(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
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
    return torch.where(n > 0, right / n.clamp(min=1), 0.5)


def tied_share(scores: Tensor, mask: Tensor) -> Tensor:
    """Share of neighbours in the rankings of the batch with equal scores."""
    lowest_last = scores.masked_fill(~mask, float("-inf")).sort(dim=1, descending=True).values
    above, below = lowest_last[:, :-1], lowest_last[:, 1:]
    real = below.isfinite()
    return ((above == below) & real).sum() / real.sum().clamp(min=1)
