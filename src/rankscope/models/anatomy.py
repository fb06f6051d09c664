"""Where each architecture keeps its layers."""

from typing import Any

from torch import nn


def layers(model: Any) -> list[nn.Module]:
    """The layers of an encoder or decoder, lowest first; [] for one without layers of their own weights.

    They are the one list of as many modules as the configuration has layers.
    """
    depth = model.config.num_hidden_layers
    stacks = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return list(next((stack for stack in stacks if len(stack) == depth), ()))
