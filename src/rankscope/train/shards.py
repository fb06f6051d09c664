"""Weights, gradients and moments in shards over all devices (FSDP), for what one cannot train.

`accelerate launch` with a configuration of FSDP 2 asks for it. The updates are done on a copy of the
model of which every device holds a part. For a validation and at the end the parts are gathered into
the model as it was given, so scoring, saving and resuming are what they always are: one device must
hold the weights, a quarter of what training them takes, and any number of processes may go on.
"""

import os
from copy import deepcopy
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from rankscope.core.errors import BadInput
from rankscope.models import anatomy


def are_asked(accelerator: Accelerator, *, memory: str, compiled: bool) -> bool:
    """True if accelerate is told to shard; BadInput where that does not go with the recipe."""
    if accelerator.distributed_type != DistributedType.FSDP:
        if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
            raise BadInput(
                "accelerate's configuration asks for FSDP, which it does on several accelerators only. "
                "Take it out, or start one process on each of several."
            )
        return False
    if not accelerator.is_fsdp2:
        raise BadInput(
            "accelerate's configuration asks for FSDP 1, which hides the weights from the guards. "
            "Set `fsdp_version: 2` in it."
        )
    if memory == "grad_cache":
        raise BadInput(
            "memory: grad_cache runs whole models again, which shards cannot. Use `memory: "
            "gradient_checkpointing` with FSDP."
        )
    if compiled:
        raise BadInput("compile: true does not go with FSDP. Drop one of them.")
    if accelerator.state.fsdp_plugin.activation_checkpointing:
        raise BadInput(
            "fsdp_activation_checkpointing: true renames the layers and draws dropout anew. Take it out "
            "of accelerate's configuration, and use `memory: gradient_checkpointing` in the study."
        )
    if accelerator.state.dynamo_plugin.backend != DynamoBackend.NO:
        raise BadInput(
            "accelerate's configuration asks for torch.compile (dynamo), which renames the layers. Take "
            "it out."
        )
    return True


def sharded(
    accelerator: Accelerator, model: nn.Module, optimizer_of: Any
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of the model in shards, and the optimizer of its weights; the model goes off the device."""
    copy = deepcopy(model.cpu())
    plugin: Any = accelerator.state.fsdp_plugin
    if plugin.transformer_cls_names_to_wrap is None:
        # accelerate would add BERT's embeddings, shard the words in them once more, and fail
        stack = anatomy.layers(copy)
        plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in stack})
    parts, wrapped = accelerator.prepare(copy, optimizer_of(copy))
    return parts, wrapped.optimizer


def let_go(parts: nn.Module) -> None:
    """Drop what a forward pass gathered for a backward pass that did not come."""
    for module in parts.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def gather(parts: nn.Module, model: nn.Module) -> None:
    """Write the weights of a sharded copy into the model it is of; all processes must do so."""
    whole_weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, part in parts.named_parameters():
            if part.requires_grad:
                whole_weights[name].copy_(whole(part.detach()))


def whole(tensor: Tensor) -> Tensor:
    """A tensor's values from all its shards; itself if it has none."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed(tensor: Tensor, *, like: Tensor) -> Tensor:
    """The tensor where a parameter is: on its device, in shards if that is, and of its shape."""
    moved = tensor.to(like.device)
    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(moved, like.device_mesh, like.placements)
    return moved
