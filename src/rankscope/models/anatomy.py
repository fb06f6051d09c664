"""Where each architecture keeps its encoder and its layers."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel


def encoders(model: nn.Module) -> list[Any]:
    """Transformers' models in a model: itself, or the towers inside it, those inside them left out."""
    if isinstance(model, PreTrainedModel):
        return [model]
    return [found for child in model.children() for found in encoders(child)]


def layers(model: Any) -> list[nn.Module]:
    """The layers of an encoder or decoder, lowest first; [] for one without layers of their own weights.

    They are the one list of as many modules as the configuration has layers.
    """
    depth = model.config.num_hidden_layers
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return list(next((stack for stack in stacks if len(stack) == depth), ()))
