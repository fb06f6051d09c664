"""Activations that the forward pass does not keep and the backward pass computes again."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from rankscope.core.errors import BadInput
from rankscope.models import anatomy

Memory = Literal["plain", "gradient_checkpointing", "grad_cache"]


class Recomputed(nn.Module):
    """A model that keeps no activations: the backward pass runs its forward pass again.

    It stands inside what accelerate wraps, because DistributedDataParallel must see each forward
    pass once.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *rest: Any, **inputs: Tensor) -> Any:
        """What the model gives."""
        return recomputed(self.model, *rest, use_reentrant=False, **inputs)  # type: ignore[arg-type]


@contextmanager
def gradient_checkpointing(model: Any, memory: Memory) -> Iterator[None]:
    """Inside the block, layers keep no activations where the recipe says so."""
    if memory != "gradient_checkpointing":
        yield
        return
    try:
        with _under_old_names():
            for encoder in anatomy.encoders(model):
                encoder.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise BadInput(
            f"{type(model).__name__} has no gradient checkpointing. Use `memory: grad_cache`."
        ) from error
    try:
        yield
    finally:
        with _under_old_names():
            for encoder in anatomy.encoders(model):
                encoder.gradient_checkpointing_disable()


@contextmanager
def _under_old_names() -> Iterator[None]:
    """Inside the block, transformers may call its names old: the new ones came during version 5."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.*deprecated", FutureWarning)
        yield
