"""Gradients of word embeddings on a processor: added to the rows that a batch has, not to the whole vocabulary.

PyTorch fills a gradient of the vocabulary's size with zeros for every pass, and adds it to the one before. Here each pass
adds its own rows to the gradient that is there. The sums are the same, to the bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import embedding

SMALLEST = 1_000_000
"""Numbers in a table, at least; the gradients of a smaller one are PyTorch's."""


class _Rows(torch.autograd.Function):
    """The rows of a table; the gradient is added to the table's own, of which autograd hears nothing."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.weight, ctx.padding = weight, padding
        return embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        weight, flat, rows = ctx.weight, ids.flatten(), gradient.flatten(0, -2)
        if ctx.padding is not None:
            is_read = flat != ctx.padding
            flat, rows = flat[is_read], rows[is_read]
        distinct, places = flat.unique(return_inverse=True)
        sums = rows.new_zeros(len(distinct), rows.shape[-1]).index_add_(0, places, rows)
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, distinct, sums)
        return None, None, None


@contextmanager
def gradients_by_row(model: nn.Module) -> Iterator[None]:
    """Inside the block, a model that is trained on a processor adds embeddings' gradients by row.

    Several processes leave it be: what autograd does not hear of they would not exchange.
    """
    embeddings = (module for module in model.modules() if type(module) is nn.Embedding)
    is_alone = not (distributed.is_available() and distributed.is_initialized())
    tables = [table for table in embeddings if is_alone and _is_plain(table)]
    try:
        for table in tables:  # bound: a copy of the model reads its own table
            table.forward = MethodType(_forward, table)  # type: ignore[method-assign]
        yield
    finally:
        for table in tables:
            del table.forward


def _is_plain(table: nn.Embedding) -> bool:
    return (
        "forward" not in vars(table)
        and table.weight.numel() >= SMALLEST
        and table.max_norm is None
        and not (table.sparse or table.scale_grad_by_freq)
    )


def _forward(table: nn.Embedding, ids: Tensor) -> Tensor:
    if not (table.weight.requires_grad and torch.is_grad_enabled()):
        return embedding(ids, table.weight)
    rows: Tensor = _Rows.apply(table.weight, ids, table.padding_idx)  # type: ignore[no-untyped-call]
    return rows
