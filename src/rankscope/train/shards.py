"""Weights, gradients and moments in shards over all devices (FSDP), for models that one device cannot train.

`accelerate launch` with a configuration of FSDP 2 asks for it. The updates are done on a copy of the
model of which every device holds a part. For a validation and at the end the parts are gathered into
the model as it was given, so scoring, saving and resuming work as without shards: one device must hold
the weights, a quarter of the memory of their training, and any number of processes may resume.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any, final

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from rankscope.core.errors import BadInput
from rankscope.models import anatomy
from rankscope.train.memory import Memory, Recomputed

OptimizerOf = Callable[[nn.Module], torch.optim.Optimizer]


def are_configured(accelerator: Accelerator, *, memory: Memory, compiled: bool) -> bool:
    """True if accelerate's configuration asks for shards; BadInput where the recipe does not go with them."""
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
            "fsdp_activation_checkpointing: true renames the layers and draws dropout again. Take it out "
            "of accelerate's configuration, and use `memory: gradient_checkpointing` in the study."
        )
    if accelerator.state.dynamo_plugin.backend != DynamoBackend.NO:
        raise BadInput(
            "accelerate's configuration asks for torch.compile (dynamo), which renames the layers. Take "
            "it out."
        )
    return True


@final
class Replicated:
    """A model of which every process has a whole copy; gradients are averaged."""

    is_sharded = False

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer_of: OptimizerOf,
        *,
        memory: Memory,
    ) -> None:
        self._accelerator = accelerator
        self.module = model.to(accelerator.device)
        self.optimizer = optimizer_of(model)
        inner = Recomputed(model) if memory == "grad_cache" else model
        self.wrapped: nn.Module = accelerator.prepare_model(inner)

    def kept_local(self) -> Any:
        """Inside the block no gradients are sent."""
        return self._accelerator.no_sync(self.wrapped)

    def let_go(self) -> None:
        """Do nothing: nothing was gathered."""

    def gather(self) -> None:
        """Do nothing: the given model is the trained one."""

    def gathered(self) -> Any:
        """Inside the block, too, the given model is the trained one."""
        return nullcontext()


@final
class InShards:
    """A copy of the model of which every process has a part; the model is off the device meanwhile."""

    is_sharded = True

    def __init__(
        self, accelerator: Accelerator, model: nn.Module, optimizer_of: OptimizerOf
    ) -> None:
        copy = deepcopy(model.cpu())
        plugin: Any = accelerator.state.fsdp_plugin
        if plugin.transformer_cls_names_to_wrap is None:
            # accelerate would add BERT's embeddings, shard the words in them once more, and fail
            stacks = [anatomy.layers(encoder) for encoder in anatomy.encoders(copy)]
            names = {type(layer).__name__ for stack in stacks for layer in stack}
            plugin.transformer_cls_names_to_wrap = sorted(names)
        parts, optimizer = accelerator.prepare(copy, optimizer_of(copy))
        self._given, self._device = model, accelerator.device
        self.module: nn.Module = parts
        self.wrapped: nn.Module = parts
        self.optimizer: torch.optim.Optimizer = optimizer.optimizer

    def kept_local(self) -> Any:
        """Gradients are sent all the same: kept whole, they would be too large."""
        return nullcontext()

    def let_go(self) -> None:
        """Drop the weights that a forward pass gathered for a backward pass that did not follow."""
        for module in self.module.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def gather(self) -> None:
        """Write the weights into the model that was given, on the device; all processes must do so."""
        weights = dict(self._given.named_parameters())
        with torch.no_grad():
            for name, part in self.module.named_parameters():
                if part.requires_grad:
                    weights[name].copy_(whole(part.detach()))
        self._given.to(self._device)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Inside the block the model that was given has the weights and is on the device."""
        self.gather()
        yield
        self._given.cpu()


def whole(tensor: Tensor) -> Tensor:
    """A tensor's values from all its shards; itself if it has none."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def placed(tensor: Tensor, *, like: Tensor) -> Tensor:
    """The tensor on the device of a parameter, in shards like it if their shapes are equal."""
    moved = tensor.to(like.device)
    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(moved, like.device_mesh, like.placements)
    return moved
