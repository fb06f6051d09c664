"""What losses are made of: margins, pairs, ranks and log-probabilities of each query's docs, padding left out.

values, scores, labels: (queries, docs), float32. mask: the same shape, True where there is a doc.
"""

import torch
from torch import Tensor


def margins(values: Tensor) -> Tensor:
    """Entry i, j: value i less value j; (queries, docs, docs)."""
    return values[:, :, None] - values[:, None, :]


def pairs(labels: Tensor, mask: Tensor) -> Tensor:
    """Entry i, j: both are docs, and label i is above label j; (queries, docs, docs)."""
    better = labels[:, :, None] > labels[:, None, :]
    return better & mask[:, :, None] & mask[:, None, :]


def grades(labels: Tensor, mask: Tensor) -> Tensor:
    """Labels as grades: below 0 is 0, and so is the padding."""
    return labels.masked_fill(~mask, 0).clamp(min=0)


def top(labels: Tensor, mask: Tensor) -> Tensor:
    """True for the docs with the highest label of their query; (queries, docs)."""
    highest = labels.masked_fill(~mask, float("-inf")).amax(dim=1, keepdim=True)
    return (labels == highest) & mask


def own(mask: Tensor) -> Tensor:
    """Entry i, j: they are the same doc; (docs, docs)."""
    return torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)


def ranks(values: Tensor, mask: Tensor, *, before: Tensor | None = None) -> Tensor:
    """Ranks by falling value, 1 for the highest; docs that tie share the mean of their ranks.

    `before`: among docs of equal value, those where this is higher come first. Comparing and not
    sorting makes ranks independent of the order of docs; what they are for padding means nothing.
    """
    ahead = values[:, None, :] > values[:, :, None]  # entry i, j: j comes before i
    level = values[:, None, :] == values[:, :, None]
    if before is not None:
        ahead |= level & (before[:, None, :] > before[:, :, None])
        level &= before[:, None, :] == before[:, :, None]
    n_ahead, n_level = ((there & mask[:, None, :]).sum(dim=2) for there in (ahead, level))
    return (n_ahead + (n_level + 1) / 2).to(values.dtype)  # the doc itself is one of n_level


def log_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities of the docs of each query; 0 in the padding, where -inf would spoil sums."""
    return values.masked_fill(~mask, float("-inf")).log_softmax(dim=1).masked_fill(~mask, 0)


def surprise(scores: Tensor, *, rivals: Tensor, mask: Tensor) -> Tensor:
    """For each doc, -log of its softmax among itself and its rivals; in the padding, anything.

    rivals: (queries, docs or 1, docs), entry i, j: j is a rival of i.
    """
    leads = -margins(scores.masked_fill(~mask, 0))  # entry i, j: how far j is ahead of i
    return leads.masked_fill(~(rivals | own(mask)), float("-inf")).logsumexp(dim=2)


def grid(values: Tensor, mask: Tensor) -> Tensor:
    """Values of the docs, (pairs,), row by row into the shape of the mask; 0 in the padding."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(
        mask, values
    )
