"""Dropout on a processor: four decisions from each random number.

PyTorch draws one random number for each value, one after the other, which is felt in small models with long texts. Here
a 64-bit number decides about four values, 16 bits each. So a value is dropped with the chance p rounded to 1/65536 (0.1
becomes 0.10001), and what is kept is scaled by exactly that. The draws come from PyTorch's own generator: same seed,
same masks.

Attention is computed a few texts at a time, in arrays that stay in the processor's cache. PyTorch's derivative of the
same operations takes new memory for each of them. The values are the same to the bit.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rankscope.models.anatomy import encoders

STEPS = 1 << 16
ATTENTION = "rankscope_dropout"
"""What the attention below is called among transformers'."""
AT_ONCE = 1 << 19
"""Attention weights that are computed together: 2 MB of float32."""


def seed_dropout(seed: int) -> None:
    """Seed what dropout draws from, as `torch.manual_seed` does.

    Where there is no accelerator it leaves out the note for each kind of accelerator (for the day one is used), which
    formats the whole stack: half a millisecond or more, for each batch.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def kept(shape: torch.Size, p: float, dtype: torch.dtype) -> tuple[Tensor, float]:
    """(1 where a value is kept and 0 elsewhere, what the kept are multiplied by); at most 65535 of 65536 are dropped.

    Numbers, not truth values: PyTorch multiplies by those five times as fast.
    """
    n_dropped = min(round(p * STEPS), STEPS - 1)
    size = math.prod(shape)
    drawn = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(1 << 63), None)
    low = n_dropped - STEPS // 2  # 16 bits are a number from -32768 to 32767
    mask = torch.empty(shape, dtype=dtype)
    torch.ge(drawn.view(torch.int16)[:size].view(shape), low, out=mask)
    return mask, STEPS / (STEPS - n_dropped)


def dropout(values: Tensor, p: float) -> Tensor:
    """Each value with the chance p zero, the others scaled so that the mean stays."""
    mask, scale = kept(values.shape, p, values.dtype)
    return values * mask.mul_(scale)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention whose weights are dropped as above, for transformers' models.

    query, key, value: (texts, heads, tokens, width). Where nothing is dropped, or heads share keys,
    or a token sees only those before it, it is transformers' own.
    """
    if dropout == 0 or getattr(module, "is_causal", False) or key.shape[1] != query.shape[1]:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask, kept_scale = kept(query.shape[:3] + key.shape[2:3], dropout, query.dtype)
    queries, values = query * scale, value * kept_scale
    is_plain = attention_mask is None or attention_mask.dtype == torch.bool
    if is_plain and query.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
        attended: Tensor = _Attention.apply(queries, key.mT, values, _hidden(attention_mask), mask)  # type: ignore[no-untyped-call]
        return attended.transpose(1, 2).contiguous(), None
    scores = queries @ key.mT
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores.masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
    elif attention_mask is not None:
        scores = scores + attention_mask
    attended = (scores.softmax(-1) * mask) @ values
    return attended.transpose(1, 2).contiguous(), None


def _hidden(mask: Tensor | None) -> Tensor | None:
    """True where a token is not seen; None where all are."""
    return None if mask is None or bool(mask.all()) else ~mask


class _Attention(torch.autograd.Function):
    """(softmax(queries keys) * mask) values, by hand, a few texts at a time.

    queries, values: (texts, heads, tokens, width); keys: (texts, heads, width, tokens); mask: (texts, heads, tokens,
    tokens); hidden broadcasts to that, or is None.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None, mask: Tensor
    ) -> Tensor:
        weights, attended = torch.empty_like(mask), torch.empty_like(queries)
        if hidden is not None:
            hidden = hidden.expand(len(mask), -1, -1, -1)
        for part in _parts(mask):
            scores = torch.empty_like(mask[part])
            torch.bmm(_matrices(queries, part), _matrices(keys, part), out=scores.flatten(0, 1))
            if hidden is not None:
                scores.masked_fill_(hidden[part], torch.finfo(scores.dtype).min)
            torch.softmax(scores, -1, out=weights[part])
            torch.mul(weights[part], mask[part], out=scores)
            product = torch.bmm(scores.flatten(0, 1), _matrices(values, part))
            attended[part] = product.view(attended[part].shape)
        ctx.save_for_backward(queries, keys, values, weights, mask, hidden)
        return attended

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        queries, keys, values, weights, mask, hidden = ctx.saved_tensors
        of_queries, of_keys, of_values = (
            torch.empty(each.shape) if needed else None
            for each, needed in zip((queries, keys, values), ctx.needs_input_grad, strict=False)
        )
        for part in _parts(mask):
            given = _matrices(gradient, part)
            kept_weights = weights[part] * mask[part]
            if of_values is not None:
                torch.bmm(kept_weights.flatten(0, 1).mT, given, out=of_values[part].flatten(0, 1))
            of_weights = kept_weights  # the same memory
            torch.bmm(given, _matrices(values, part).mT, out=of_weights.flatten(0, 1))
            of_weights.mul_(mask[part])
            scores = torch._softmax_backward_data(of_weights, weights[part], -1, weights.dtype)
            if hidden is not None:  # where a whole row is hidden, its weights are not 0
                scores.masked_fill_(hidden[part], 0)
            of_scores = scores.flatten(0, 1)
            if of_queries is not None:
                torch.bmm(of_scores, _matrices(keys, part).mT, out=of_queries[part].flatten(0, 1))
            if of_keys is not None:
                torch.bmm(_matrices(queries, part).mT, of_scores, out=of_keys[part].flatten(0, 1))
        return of_queries, of_keys, of_values, None, None


def _parts(weights: Tensor) -> Iterator[slice]:
    """The texts that are computed together; weights: (texts, heads, tokens, tokens)."""
    n_texts = max(1, AT_ONCE // weights[0].numel())
    return (slice(start, start + n_texts) for start in range(0, len(weights), n_texts))


def _matrices(texts: Tensor, part: slice) -> Tensor:
    """Some of (texts, heads, rows, columns) as (texts x heads, rows, columns), laid out as `matmul` has them."""
    flat = texts[part].flatten(0, 1)
    return flat if len(texts) == 1 else flat.contiguous()


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def set_dropout(model: nn.Module, p: float) -> None:
    """Let every dropout of a model, that of attention included, drop with the chance p."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = p
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = p  # type: ignore[assignment]


@contextmanager
def fast_dropout(model: Any) -> Iterator[None]:
    """Inside the block, a model that is trained on a processor drops values as above."""
    modules = [module for module in model.modules() if type(module) is nn.Dropout]
    switched = [m for m in encoders(model) if m.config._attn_implementation == "sdpa"]
    try:
        for module in modules:
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
        for encoder in switched:
            encoder.set_attn_implementation(ATTENTION)
        yield
    finally:
        for module in modules:
            del module.forward
        for encoder in switched:
            encoder.set_attn_implementation("sdpa")


def _forward(module: nn.Dropout, values: Tensor) -> Tensor:
    return dropout(values, module.p) if module.training and module.p > 0 else values
