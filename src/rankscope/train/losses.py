"""Contrastive, pairwise, listwise, distillation: functions of (scores, labels, mask).

scores, labels: (queries, docs), float32. mask: the same shape, True where there is a doc. Every
loss is a mean, sees differences of scores only, and gives the same value whatever stands in the
padding.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from rankscope.core.errors import EmptyBatch

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def localized_contrastive(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over queries of -log softmax(scores) at the query's one positive.

    (LCE: Gao, Dai, Callan 2021; in study B, L = -log(exp s(q,d+) / sum over {d+} and N_q).)
    The positive is the doc whose label is above 0. A query with none or several is refused: the
    released code takes a random negative for the positive there (`papers.md` B.7-4).
    """
    positive = (labels > 0) & mask
    if not (positive.sum(dim=1) == 1).all():
        raise EmptyBatch(
            "localized_contrastive needs exactly one positive doc a query. "
            "Draw samples with `labels: qrels`, or use ranknet for a teacher's order."
        )
    log_probabilities = scores.masked_fill(~mask, float("-inf")).log_softmax(dim=1)
    return -log_probabilities[positive].mean()


def ranknet(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean over all pairs of the batch with label i > label j of log(1 + exp(s_j - s_i)).

    (Burges et al. 2005; study B's distillation loss, where the labels are a teacher's order.)
    Long lists weigh more than short ones, as published (`papers.md` B.7-11).
    """
    better = labels[:, :, None] > labels[:, None, :]  # (queries, docs, docs)
    real = mask[:, :, None] & mask[:, None, :]
    pairs = better & real
    if not pairs.any():
        raise EmptyBatch("No two docs of one query differ in label: there is nothing to rank.")
    margins = scores[:, :, None] - scores[:, None, :]
    return softplus(-margins[pairs]).mean()


LOSSES: dict[str, Loss] = {"localized_contrastive": localized_contrastive, "ranknet": ranknet}


def spread(scores: Tensor, mask: Tensor) -> float:
    """Mean over queries of the standard deviation of a query's scores; 0 is a collapsed ranker."""
    n = mask.sum(dim=1)
    mean = scores.masked_fill(~mask, 0).sum(dim=1) / n
    squares = (scores - mean[:, None]).square().masked_fill(~mask, 0).sum(dim=1) / n
    return float(squares.sqrt().mean())


def grid(values: Tensor, mask: Tensor) -> Tensor:
    """Values of the docs, (pairs,), row by row into the shape of the mask; 0 in the padding."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(
        mask, values
    )
