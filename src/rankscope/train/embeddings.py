"""Gradients of word embeddings on a processor: added to the rows that a batch has, not to the whole vocabulary.

PyTorch fills a gradient of the vocabulary's size with zeros each time that a table was read, and adds it to the one
before. Here only the rows that were read are added, in the same order, so the sums are the same to the bit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import embedding

Rows = tuple[Tensor, Tensor]
"""Ids, and the gradients of their rows: (ids,) and (ids, width)."""
WAITING = "_rows_of_this_backward_pass"
SMALLEST = 1_000_000
"""Numbers in a table, at least; the gradients of a smaller one are PyTorch's."""


class _Rows(torch.autograd.Function):
    """The rows of a table; the gradient is added to the table's own, of which autograd hears nothing."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, table: nn.Embedding) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.table = table
        return embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        flat, rows = ids.flatten(), gradient.flatten(0, -2)
        if ctx.table.padding_idx is not None:
            is_read = flat != ctx.table.padding_idx
            flat, rows = flat[is_read], rows[is_read]
        waiting = vars(ctx.table)[WAITING]
        if not waiting:  # autograd, too, sums what one backward pass gives before it adds it
            engine: Any = torch.autograd.Variable._execution_engine
            engine.queue_callback(lambda: _add(ctx.table.weight, waiting))
        waiting.append(_summed([(flat, rows)]))
        return None, None, None


def _summed(parts: Sequence[Rows]) -> Rows:
    """The sum of rows by their ids, added in the order of the parts."""
    every = torch.cat([ids for ids, _ in parts])
    distinct, places = torch.unique(every, return_inverse=True)
    sums = parts[0][1].new_zeros(len(distinct), parts[0][1].shape[-1])
    for of_part, (_, rows) in zip(places.split([len(ids) for ids, _ in parts]), parts, strict=True):
        sums.index_add_(0, of_part, rows)
    return distinct, sums


def _add(weight: Tensor, waiting: list[Rows]) -> None:
    """Add what a backward pass left to the table's gradient."""
    ids, rows = _summed(waiting)
    waiting.clear()
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    weight.grad.index_add_(0, ids, rows)


@contextmanager
def gradients_by_row(model: nn.Module) -> Iterator[None]:
    """Inside the block, a model that is trained on a processor adds embeddings' gradients by row.

    Several processes leave it be: what autograd does not hear of they would not exchange.
    """
    embeddings = (module for module in model.modules() if type(module) is nn.Embedding)
    tables = [table for table in embeddings if _is_plain(table)]
    try:
        for table in tables:  # bound: a copy of the model reads its own table
            vars(table)[WAITING] = []
            table.forward = MethodType(_forward, table)  # type: ignore[method-assign]
        yield
    finally:
        for table in tables:
            del table.forward, vars(table)[WAITING]


def _is_plain(table: nn.Embedding) -> bool:
    return (
        "forward" not in vars(table)
        and table.weight.numel() >= SMALLEST
        and table.max_norm is None
        and not (table.sparse or table.scale_grad_by_freq)
    )


def _forward(table: nn.Embedding, ids: Tensor) -> Tensor:
    is_trained = table.weight.requires_grad and torch.is_grad_enabled()
    if not is_trained or (distributed.is_available() and distributed.is_initialized()):
        return embedding(ids, table.weight, table.padding_idx)
    rows: Tensor = _Rows.apply(table.weight, ids, table)  # type: ignore[no-untyped-call]
    return rows
