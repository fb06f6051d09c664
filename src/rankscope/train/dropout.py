"""Dropout on a processor: four decisions from each random number.

PyTorch draws one random number for each value, one after the other, which is felt in small models with
long texts. Here a 64-bit number decides about four values, 16 bits each. So a value is dropped with the chance p rounded to 1/65536 (0.1 becomes
0.10001), and what is kept is scaled by exactly that. The draws come from PyTorch's own generator:
same seed, same masks.
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
    scores = (query * scale) @ key.transpose(-1, -2)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores.masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
    elif attention_mask is not None:
        scores = scores + attention_mask
    mask, kept_scale = kept(scores.shape, dropout, scores.dtype)
    attended = (scores.softmax(-1) * mask) @ (value * kept_scale)
    return attended.transpose(1, 2).contiguous(), None


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
