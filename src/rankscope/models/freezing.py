"""Frozen weights: those of a model that stay as they are in training."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.models import anatomy


def frozen_weights(model: Any, parts: Sequence[str], n_layers: int) -> list[torch.Tensor]:
    """The weights of parts of a model: position_embeddings, embeddings, encoder, the lowest layers.

    The lowest layers take the embeddings along: what feeds a frozen layer is frozen too.
    """
    encoder = model.base_model
    weights: list[torch.Tensor] = []
    if "position_embeddings" in parts:
        weights += position_embeddings(model)
    if "embeddings" in parts or n_layers:
        weights += encoder.get_input_embeddings().parameters()
        weights += getattr(encoder, "embeddings", nn.Identity()).parameters()
    if n_layers:  # ELECTRA's, from the width of its embeddings to that of its layers
        weights += getattr(encoder, "embeddings_project", nn.Identity()).parameters()
    if "encoder" in parts:
        weights += [w for name, w in encoder.named_parameters() if not name.startswith("pooler.")]
    for layer in _layers(encoder, n_layers):
        weights += layer.parameters()
    return list({id(weight): weight for weight in weights}.values())


def _layers(encoder: Any, n: int) -> list[nn.Module]:
    if not n:
        return []
    depth = encoder.config.num_hidden_layers
    if n > depth:
        raise BadInput(
            f"freeze_layers: {n} layers cannot be frozen, as {type(encoder).__name__} has {depth} layers. "
            "Lower it."
        )
    stack = anatomy.layers(encoder)
    if not stack:
        raise BadInput(
            f"freeze_layers: {type(encoder).__name__} has no layers of their own weights. Drop it."
        )
    return stack[:n]


def position_embeddings(model: nn.Module) -> list[torch.Tensor]:
    """The weights of the absolute position embeddings; BadInput for a model without any."""
    weights = [
        module.weight
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    if not weights:
        raise BadInput(
            f"{type(model).__name__} has no absolute position embeddings to freeze. "
            "Drop `position_embeddings` from `freeze`."
        )
    return weights
