"""The encoder of each architecture, its layers and their feed-forward blocks."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from rankscope.core.errors import BadInput

FEED_FORWARDS = (
    {"intermediate": "intermediate.dense", "output": "output.dense"},
    {"intermediate": "ffn.lin1", "output": "ffn.lin2"},
    {"gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"},
    {"up_and_gate": "mlp.Wi", "down": "mlp.Wo"},
)
"""The dense matrices of a layer's feed-forward block: BERT, RoBERTa, ELECTRA, MPNet, DeBERTa; DistilBERT; LLaMA, Mistral,
Qwen; ModernBERT. The last of each reads the block's activations, one number a neuron."""


def encoders(model: nn.Module) -> list[Any]:
    """The models of transformers in a model: itself, or its towers; models inside those are left out."""
    if isinstance(model, PreTrainedModel):
        return [model]
    return [encoder for child in model.children() for encoder in encoders(child)]


def layers(model: Any) -> list[nn.Module]:
    """The layers of an encoder or decoder, lowest first; [] for one without layers of their own weights.

    They are the one list of as many modules as the configuration has layers.
    """
    depth = getattr(model.config, "num_hidden_layers", None)
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return list(next((stack for stack in stacks if len(stack) == depth), ()))


def feed_forward(layer: nn.Module) -> dict[str, nn.Linear]:
    """The dense matrices of a layer's feed-forward block by name, in the order a text meets them."""
    for paths in FEED_FORWARDS:
        modules = {name: _at(layer, path) for name, path in paths.items()}
        dense = {name: module for name, module in modules.items() if isinstance(module, nn.Linear)}
        if len(dense) == len(paths):
            return dense
    raise BadInput(
        f"{type(layer).__name__}: no feed-forward block is known in it. Known are those of BERT, RoBERTa, "
        "ELECTRA, MPNet, DeBERTa, DistilBERT, ModernBERT, LLaMA, Mistral and Qwen."
    )


def _at(module: nn.Module | None, path: str) -> nn.Module | None:
    """The module at a dotted path, if there is one."""
    for name in path.split("."):
        module = None if module is None else module._modules.get(name)
    return module
