"""The last layer for the first token alone: the only one that a scoring head reads.

A classification head of BERT's family takes the first token's state and leaves the others. So in the
last layer queries, feed-forward and norms are needed for that token alone; keys and values still
come from all. The scores are the same (a test holds them to 1e-5 with gradients); the layer costs a
sixth. Models of other families are run whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rankscope.models import anatomy

FAMILY = frozenset({"bert", "roberta", "electra", "xlm-roberta", "camembert"})
"""Model types whose layers are BERT's and whose heads read the first token."""
IMPLEMENTATIONS = ("sdpa", "rankscope_dropout")
"""Implementations of attention by mask and matrices; with any other, the whole layer runs."""


@contextmanager
def first_token_only(model: Any) -> Iterator[None]:
    """Inside the block, the model's last layer gives the first token's state only: (texts, 1, width)."""
    layer = _last_layer(model)
    if layer is None or "forward" in vars(layer):
        yield
        return
    layer.forward = MethodType(_forward, layer)  # bound: a copy of the model calls its own layer
    try:
        yield
    finally:
        del layer.forward


def _last_layer(model: Any) -> Any:
    """The last layer of a scorer of BERT's family, or None for any other model."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "model_type", None) not in FAMILY or config.is_decoder:
        return None
    stack = anatomy.layers(model)
    return stack[-1] if stack else None


def _forward(
    layer: Any, states: Tensor, attention_mask: Tensor | None = None, *rest: Any, **more: Any
) -> Any:
    """states: (texts, tokens, width); mask: (texts, 1, tokens, tokens) or None."""
    attention = layer.attention.self
    name = attention.config._attn_implementation
    if name not in IMPLEMENTATIONS:
        return type(layer).forward(layer, states, attention_mask, *rest, **more)
    first = states[:, :1]
    mask = attention_mask if attention_mask is None else attention_mask[:, :, :1]
    heads, _ = ALL_ATTENTION_FUNCTIONS[name](
        attention,
        _by_head(attention.query(first), attention),
        _by_head(attention.key(states), attention),
        _by_head(attention.value(states), attention),
        mask,
        dropout=attention.dropout.p if attention.training else 0.0,
        scaling=attention.scaling,
    )
    context: Tensor = heads.reshape(len(states), 1, -1)
    attended = layer.attention.output(context, first)
    return layer.feed_forward_chunk(attended)


def _by_head(values: Tensor, attention: Any) -> Tensor:
    """(texts, tokens, width) as (texts, heads, tokens, width of a head)."""
    n_texts, n_tokens, _ = values.shape
    return values.view(n_texts, n_tokens, -1, attention.attention_head_size).transpose(1, 2)
