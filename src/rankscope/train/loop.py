"""Update, accumulate, clip, validate, save; start again where it stopped.

Everything random or scheduled in update u (samples, dropout, learning rate) is a function of the
seed and u. So a training killed at any moment and started again gives the same bytes, and there is
no scheduler or sampler whose state could be lost.

The engine is accelerate: the same loop runs under `torchrun` on several devices. Where the device
has bfloat16, the forward pass of training runs in it; losses, validation and weights are float32.
"Same bytes" means: on one machine, with the same number of threads.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.rng import seed_for
from rankscope.models.backbone import device
from rankscope.train import checkpoint, guards, movement
from rankscope.train.batches import Outcome

Keep = Literal["best_validation", "last"]


class Objective(Protocol):
    """What is learnt: batches of an update, and the loss of a batch."""

    def batches(self, update: int) -> Sequence[Any]:
        """The update's batches; their number is the same in every update."""
        ...

    def outcome(self, model: nn.Module, batch: Any) -> Outcome:
        """The mean loss of one batch."""
        ...


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
    validate_every: int | None = None
    keep: Keep = "last"
    """Which weights are the result: the last, or those best on validation (earliest if equal)."""
    checkpoint_every: int = 200


@dataclass(frozen=True)
class Trained:
    """What a training leaves beside the weights."""

    log: list[dict[str, float]]
    kept_update: int
    displacement: dict[str, float]
    updates_per_second: float | None
    """Of this process; None if it found all updates done."""


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


def fit(
    model: nn.Module,
    objective: Objective,
    recipe: Recipe,
    *,
    checkpoints: Path,
    validate: Callable[[], float] | None = None,
    progress: Progress = SILENT,
    label: str = "train",
    watch: guards.Watch | None = None,
) -> Trained:
    """Train the model in place by the recipe, from the last checkpoint if there is one.

    Parameters that do not require a gradient stay as they are. Raises TrainingStopped when a guard
    sees that the training has silently gone wrong; `watch` has the levels, and keeps what was seen.
    """
    watch = watch or guards.Watch(progress=progress, label=label)
    if recipe.keep == "best_validation" and (validate is None or recipe.validate_every is None):
        raise BadInput("keep: best_validation needs a validation. Add `validate`, or `keep: last`.")
    trained = {name: w for name, w in model.named_parameters() if w.requires_grad}
    watch.tell("learning_rate", movement.stuck(trained.values(), recipe.learning_rate))
    before = {name: weight.detach().cpu().clone() for name, weight in trained.items()}
    with torch.random.fork_rng():
        training = _Training(model, objective, recipe, checkpoints, validate, watch)
        speed = training.run(progress, label)
    reached = training.reached
    kept = recipe.max_updates
    if recipe.keep == "best_validation" and reached.best_update is not None:
        kept = reached.best_update
        checkpoint.restore_weights(model, checkpoint.best_weights(checkpoints, reached))
    moved = movement.displacement(before, model)
    watch.tell("unmoved", movement.unmoved(moved, recipe.learning_rate))
    return Trained(reached.log, kept, moved, speed)


class _Training:
    """One training under way: model, optimiser, and how far they are."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        recipe: Recipe,
        checkpoints: Path,
        validate: Callable[[], float] | None,
        watch: guards.Watch,
    ) -> None:
        self._bare, self._objective, self._recipe = model, objective, recipe
        self._checkpoints, self._validate, self._watch = checkpoints, validate, watch
        # `cpu`: without it, accelerate does not see torchrun on processors
        self._accelerator = Accelerator(cpu=device().type == "cpu")
        # our own autocast: accelerate's would stay on the model and round the validation's scores
        self._half = torch.autocast(
            self._accelerator.device.type,
            dtype=torch.bfloat16,
            enabled=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        )
        model.to(self._accelerator.device)
        optimizer = torch.optim.AdamW(_groups(model, recipe.weight_decay), fused=True)
        self.reached = checkpoint.restore(checkpoints, model, optimizer)
        self._optimizer = optimizer
        self._model: nn.Module
        self._model = self._accelerator.prepare_model(model)

    def run(self, progress: Progress, label: str) -> float | None:
        """All updates that are left; updates per second, or None if none was."""
        recipe, reached = self._recipe, self.reached
        first, started = reached.update, time.monotonic()
        for row in reached.log:
            self._watch.saw(row)
        with progress.task(label, recipe.max_updates, "updates", done=first) as task:
            if first == 0:
                self._validated(0)
            for update in range(first, recipe.max_updates):
                facts = self._updated(update)
                reached.update = update + 1
                self._logged({"update": update + 1, **facts})
                is_best = self._validated(update + 1)
                if is_best or (update + 1) % recipe.checkpoint_every == 0:
                    self._saved()
                task.advance(loss=facts["loss"])
        self._watch.ended()
        n_done = recipe.max_updates - first
        return n_done / (time.monotonic() - started) if n_done else None

    def _logged(self, row: dict[str, float]) -> None:
        self.reached.log.append(row)
        self._watch.saw(row)

    def _updated(self, update: int) -> dict[str, float]:
        """One update; what is worth logging of it."""
        accelerator, rank = self._accelerator, self._accelerator.process_index
        rate = learning_rate_at(update, self._recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        torch.manual_seed(seed_for(self._recipe.seed, "update", update, rank))
        batches = self._objective.batches(update)
        mine = batches[rank :: accelerator.num_processes]
        if len(mine) * accelerator.num_processes != len(batches):
            raise BadInput(
                f"{len(batches)} batches an update cannot be shared by {accelerator.num_processes} "
                "processes. Make queries_per_update a multiple of queries_per_batch x processes."
            )
        losses, learning = [], []
        for place, batch in enumerate(mine, start=1):
            with self._gradients_kept_local() if place < len(mine) else nullcontext():
                with self._half:
                    outcome = self._objective.outcome(self._model, batch)
                accelerator.backward(outcome.loss / len(mine))
            losses.append(outcome.loss.detach())
            learning.append(outcome.learning)
        norm = nn.utils.clip_grad_norm_(self._bare.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        facts = {
            "loss": float(self._mean(torch.stack(losses))),
            "learning_rate": rate,
            "gradient_norm": float(norm),
        }
        for name in learning[0]:
            facts[name] = float(self._mean(torch.stack([each[name] for each in learning])))
        if (update + 1) % guards.LOOK_EVERY == 0:
            facts |= self._looked(mine[0])
        return facts

    def _looked(self, batch: Any) -> dict[str, float]:
        """What the scores of a query look like, without dropout; nothing where there are none."""
        self._bare.eval()
        with torch.no_grad():
            outcome = self._objective.outcome(self._bare, batch)
        looks = {"score_spread": outcome.score_spread, "tied_share": outcome.tied_share}
        return {n: float(self._mean(torch.tensor(v))) for n, v in looks.items() if v is not None}

    def _gradients_kept_local(self) -> Any:
        return self._accelerator.no_sync(self._model)

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over all processes; each has as many values."""
        mean: Tensor = self._accelerator.reduce(values.mean().to(self._accelerator.device), "mean")
        return mean

    def _validated(self, update: int) -> bool:
        """Validate where it is due; True if this update is the best so far (update 0 is not one)."""
        every, last = self._recipe.validate_every, update == self._recipe.max_updates
        if self._validate is None or every is None or not (update % every == 0 or last):
            return False
        value = self._validate()
        self._logged({"update": update, "validation": value})
        best = self.reached.best_value
        if update == 0 or (best is not None and value <= best):
            return False
        self.reached.best_update, self.reached.best_value = update, value
        return True

    def _saved(self) -> None:
        if self._accelerator.is_main_process:
            checkpoint.save(self._checkpoints, self._bare, self._optimizer, self.reached)
        self._accelerator.wait_for_everyone()


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [w for w in trained if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in trained if w.ndim <= 1], "weight_decay": 0.0},
    ]


@contextmanager
def frozen(weights: Sequence[Tensor]) -> Iterator[None]:
    """Inside the block, the weights require no gradient."""
    before = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight, was in zip(weights, before, strict=True):
            weight.requires_grad_(was)
