"""Dense layers without gradients on a processor with AVX-512: weights in the order in which oneDNN reads them.

A product reorders the weights at every call; here they are reordered once for all texts of a call. Where a layer's
activation is GELU, as in BERT's family, it is computed with the product. The sums are the same up to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers.activations import GELUActivation

from rankscope.models import anatomy, processes
from rankscope.models.fast.products import is_by_onednn
from rankscope.models.interventions import Forward, replaced

FEWEST_TOKENS = 1_024
"""For fewer tokens reordering the weights would cost more than it saves."""
MOST_BYTES = 1_000_000_000
"""Of weights that are copied; those of a larger model stay as they are."""
FEWEST_OUTPUTS = 16
"""Of a layer whose weights are packed: a head with one output gains nothing."""


@contextmanager
def packed_weights(model: nn.Module, n_tokens: int) -> Iterator[None]:
    """Inside the block, a model that is about to read so many tokens has its dense layers' weights packed.

    Modules whose output is replaced or recorded are left alone, and so is everything where it would not be faster, and a
    model in shards, whose weights are elsewhere.
    """
    modules = () if processes.is_sharded(model) else model.modules()
    dense = [module for module in modules if _is_packed(module)]
    size = sum(module.weight.nbytes for module in dense)
    if n_tokens < FEWEST_TOKENS or not 0 < size <= MOST_BYTES:
        yield
        return
    with torch.no_grad():
        forwards: dict[nn.Module, Forward] = {module: _forward(module) for module in dense}
        for block in _gelu_blocks(model):
            if block.dense in forwards:
                del forwards[block.dense]
                forwards[block] = _forward(block.dense, "gelu")
    with replaced(forwards):
        yield


def _is_packed(module: nn.Module) -> TypeGuard[nn.Linear]:
    return (
        type(module) is nn.Linear
        and module.out_features >= FEWEST_OUTPUTS
        and _is_untouched(module)
        and is_by_onednn(module.weight)
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _is_untouched(module: nn.Module) -> bool:
    """Whether nobody replaces or records its input or output."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return "forward" not in vars(module) and not any(hooks)


def _gelu_blocks(model: nn.Module) -> Iterator[Any]:
    """The modules of BERT's family that are a dense layer and its GELU, nothing else."""
    for encoder in anatomy.encoders(model):
        for layer in anatomy.layers(encoder):
            block: Any = getattr(layer, "intermediate", None)
            children = dict(block.named_children()) if isinstance(block, nn.Module) else {}
            activation = children.get("intermediate_act_fn")
            is_gelu = type(activation) is GELUActivation and activation.act is gelu
            if (
                is_gelu
                and children.keys() == {"dense", "intermediate_act_fn"}
                and all(map(_is_untouched, (block, activation)))
            ):
                yield block


def _forward(dense: nn.Linear, activation: str = "none") -> Forward:
    weight = torch.ops.mkldnn._reorder_linear_weight(dense.weight.detach(), FEWEST_TOKENS)
    algorithm = "none" if activation == "gelu" else ""  # GELU by the error function, not by tanh

    def forward(given: Tensor) -> Tensor:
        gave: Tensor = torch.ops.mkldnn._linear_pointwise(
            given, weight, dense.bias, activation, [], algorithm
        )
        return gave

    return forward
