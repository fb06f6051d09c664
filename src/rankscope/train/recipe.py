"""How a training updates: steps, learning rates, precision, what decays, and who is told."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate.tracking import get_available_trackers
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.train.memory import Memory

Keep = Literal["best_validation", "last"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """How to update: AdamW (betas .9 and .999, eps 1e-8) with warm-up, decay and clipping."""

    max_updates: int
    learning_rate: float
    seed: int
    schedule: str = "linear"
    warmup: float = 0.1
    """Share of the updates over which the learning rate rises from 0."""
    weight_decay: float = 0.01
    """For matrices; biases and norms do not decay."""
    clip_norm: float = 1.0
    precision: Precision = "auto"
    """Of the forward pass; auto is bfloat16 on an accelerator that has it, else float32."""
    compile: bool = False
    """Run the forward pass through torch.compile."""
    memory: Memory = "plain"
    """What is recomputed in the backward pass instead of kept: nothing; inside each layer (gradient
    checkpointing); or each part of a batch whole (GradCache, Gao et al. 2021), so that large groups
    need the memory of one part."""
    validate_every: int | None = None
    patience: int | None = None
    """Stop after so many validations in a row that were not the best so far."""
    keep: Keep = "last"
    """Which weights are the result: the last, or those best on validation (earliest if equal)."""
    checkpoint_every: int = 200
    trackers: tuple[str, ...] = ()
    """What accelerate logs to beside our own log: tensorboard, wandb, mlflow, trackio and others."""


def linear(done: float) -> float:
    """From 1 to 0 in a straight line."""
    return 1 - done


def cosine(done: float) -> float:
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * done)) / 2


def constant(done: float) -> float:  # noqa: ARG001
    """No decay."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": linear,
    "cosine": cosine,
    "constant": constant,
}


def learning_rate_at(update: int, recipe: Recipe) -> float:
    """The learning rate of update 0, 1, ...: warm-up, then the schedule."""
    n_warm = round(recipe.warmup * recipe.max_updates)
    if update < n_warm:
        return recipe.learning_rate * (update + 1) / n_warm
    done = (update - n_warm) / max(1, recipe.max_updates - n_warm)
    return recipe.learning_rate * SCHEDULES[recipe.schedule](done)


def check_trackers(asked: Sequence[str]) -> None:
    """Refuse a tracker that is not installed: accelerate would leave it out."""
    there = [str(tracker) for tracker in get_available_trackers()]
    for tracker in asked:
        if tracker not in there:
            raise BadInput(
                f"trackers: {tracker} is not installed, or accelerate has no tracker of that name. "
                f"Install it with pip, or drop it. There are: {', '.join(there) or 'none'}."
            )


def is_half(precision: Precision) -> bool:
    """Whether forward passes run in bfloat16."""
    if precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return precision == "bfloat16"


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The weights that are trained, for an optimiser: matrices decay, biases and norms do not."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [w for w in trained if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]
