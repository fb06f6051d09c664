"""Update, accumulate, clip, validate, save; start again where it stopped.

Everything random or scheduled in update u (samples, dropout, learning rate) is a function of the seed and u. So a
training killed at any moment and started again gives the same bytes (on one machine, with the same number of threads),
and there is no scheduler or sampler whose state could be lost.

The engine is accelerate: the same loop runs under `torchrun` on several devices. Where the device has bfloat16, the
forward pass of training runs in it; losses, validation and weights are float32.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.progress import SILENT, Progress
from rankscope.core.rng import seed_for
from rankscope.models.opening import device
from rankscope.train import checkpoint, guards, movement, shards
from rankscope.train.dropout import fast_dropout, seed_dropout
from rankscope.train.embeddings import gradients_by_row
from rankscope.train.facts import BatchFacts, Mean
from rankscope.train.memory import gradient_checkpointing
from rankscope.train.objectives.objective import Objective, Refreshing, Remembering
from rankscope.train.recipe import (
    Recipe,
    check_trackers,
    is_half,
    learning_rate_at,
    parameter_groups,
)


@dataclass(frozen=True)
class Trained:
    """The results of a training beside the weights."""

    log: list[dict[str, float]]
    n_updates: int
    """Updates that were done: fewer than the recipe's if patience was lost."""
    kept_update: int
    displacement: dict[str, float]
    updates_per_second: float | None
    """The speed of this process; None if all updates were done before."""


def fit(
    model: nn.Module,
    objective: Objective,
    recipe: Recipe,
    *,
    checkpoints: Path,
    validate: Callable[[], Mapping[str, float]] | None = None,
    progress: Progress = SILENT,
    label: str = "train",
    watch: guards.Watch | None = None,
) -> Trained:
    """Train the model in place by the recipe, from the last checkpoint if there is one.

    Parameters that do not require a gradient stay as they are. `validate` gives the logged values of a validation;
    "validation" is the value that decides. Raises TrainingStopped when a guard sees that the training has silently
    gone wrong; `watch` has the levels and keeps the findings.
    """
    watch = watch or guards.Watch(progress=progress, label=label)
    if validate is None or recipe.validate_every is None:
        for name, is_set in (
            ("keep: best_validation", recipe.keep == "best_validation"),
            ("patience", recipe.patience is not None),
        ):
            if is_set:
                raise BadInput(f"{name} needs a validation. Add `validate`, or drop it.")
    trained = {name: w for name, w in model.named_parameters() if w.requires_grad}
    watch.tell("learning_rate", movement.stuck(trained.values(), recipe.learning_rate))
    before = {name: weight.detach().cpu().clone() for name, weight in trained.items()}
    is_plain = device().type == "cpu" and not recipe.compile
    with (
        torch.random.fork_rng(),
        gradient_checkpointing(model, recipe.memory),
        fast_dropout(model) if is_plain else nullcontext(),
        gradients_by_row(model) if is_plain else nullcontext(),
    ):
        training = _Training(model, objective, recipe, checkpoints, validate, watch)
        speed = training.run(progress, label)
    training.learner.gather()
    reached, kept = training.reached, training.reached.update
    if recipe.keep == "best_validation" and reached.best_update is not None:
        kept = reached.best_update
        checkpoint.restore_weights(model, checkpoint.best_weights(checkpoints, reached))
    training.wait()  # the first process may drop the checkpoints as soon as it is done
    moved = movement.displacement(before, model)
    watch.tell("unmoved", movement.unmoved(moved, recipe.learning_rate))
    return Trained(reached.log, reached.update, kept, moved, speed)


def part_of(
    n_batches: int, process: int, n_processes: int, *, in_step: bool = False
) -> list[tuple[int, bool]]:
    """The places of a process's batches among all of an update, and whether they count.

    A process without a batch, because there are fewer batches than processes, computes the first one with
    the weight 0. So does, with `in_step`, a process that has fewer than another.
    """
    mine = [(place, True) for place in range(process, n_batches, n_processes)]
    wanted = math.ceil(n_batches / n_processes) if in_step else 1
    return mine + [(0, False)] * (wanted - len(mine))


class _UpdateBatch(NamedTuple):
    """A batch of an update: its place among all, its model inputs, its share of the loss."""

    place: int
    ready: Any
    share: float
    is_counted: bool
    """False for a batch of another process that is computed with the weight 0."""


class _Training:
    """One training under way: model, optimiser, and how far they are."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        recipe: Recipe,
        checkpoints: Path,
        validate: Callable[[], Mapping[str, float]] | None,
        watch: guards.Watch,
    ) -> None:
        self._objective, self._recipe = objective, recipe
        self._checkpoints, self._validate, self._watch = checkpoints, validate, watch
        check_trackers(recipe.trackers)
        # `cpu`: without it, accelerate does not see torchrun on processors;
        # `mixed_precision`: the study says it, not accelerate's configuration
        self._accelerator = Accelerator(
            cpu=device().type == "cpu",
            mixed_precision="no",
            # else every forward pass sends them, and processes have unequal numbers of passes
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
            log_with=list(recipe.trackers) or None,
            project_dir=checkpoints.parent,
        )
        # our own autocast: accelerate's would stay on the model and round the validation's scores
        self._half = torch.autocast(
            self._accelerator.device.type,
            dtype=torch.bfloat16,
            enabled=is_half(recipe.precision),
        )
        is_sharded = shards.are_configured(
            self._accelerator, memory=recipe.memory, compiled=recipe.compile
        )
        self.learner = (
            shards.InShards(self._accelerator, model, self._adamw)
            if is_sharded
            else shards.Replicated(self._accelerator, model, self._adamw, memory=recipe.memory)
        )
        self._latest = checkpoint.latest(checkpoints, needs_best=recipe.keep == "best_validation")
        self.reached = self._latest.reached
        if self._latest.place is not None:
            self._restore(self._latest.place)
        self._accelerator.wait_for_everyone()  # all have looked at the same checkpoints
        if self._accelerator.is_main_process:
            checkpoint.drop(checkpoints, self._latest)
        wrapped = self.learner.wrapped
        self._forward = torch.compile(wrapped, dynamic=True) if recipe.compile else wrapped

    def _restore(self, place: Path) -> None:
        checkpoint.restore(place, self.learner.module, self.learner.optimizer)
        remembered = checkpoint.remembered(place)
        if isinstance(self._objective, Remembering) and remembered:
            self._objective.restore(remembered)

    def _adamw(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameter_groups(model, self._recipe.weight_decay), fused=True)

    def run(self, progress: Progress, label: str) -> float | None:
        """Do all updates that are left; updates per second, or None if none was left."""
        recipe, reached = self._recipe, self.reached
        first, started = reached.update, time.monotonic()
        self._note_damage(progress, label)
        self._note_changes(progress, label)
        for row in reached.log:
            self._watch.saw(row)
        if recipe.trackers:
            self._accelerator.init_trackers(label.replace(" ", "-"))
        with (
            progress.task(label, recipe.max_updates, "updates", done=first) as task,
            ThreadPoolExecutor(1, "batches") as ahead,
        ):
            if first == 0:
                self._validated(0)
            if first < recipe.max_updates and not self._lost_patience():
                self._begun_at(first)
            coming = ahead.submit(self._batches, first)
            while reached.update < recipe.max_updates and not self._lost_patience():
                update, batches = reached.update, coming.result()
                after = min(update + 1, recipe.max_updates - 1)
                waits = self._is_due(after)
                if not waits:
                    coming = ahead.submit(self._batches, after)
                facts = self._updated(update, batches)
                reached.update = update + 1
                self._logged({"update": update + 1, **facts})
                is_best = self._validated(update + 1)
                if is_best or (update + 1) % recipe.checkpoint_every == 0:
                    self._saved()
                task.advance(loss=facts["loss"])
                if waits and reached.update == after and not self._lost_patience():
                    self._refresh(after)
                    coming = ahead.submit(self._batches, after)
        self._watch.ended()
        if recipe.trackers:
            self._accelerator.end_training()
        n_done = reached.update - first
        return n_done / (time.monotonic() - started) if n_done else None

    def _begun_at(self, update: int) -> None:
        if isinstance(self._objective, Refreshing):
            with self.learner.gathered():
                self._objective.begin(update)

    def _is_due(self, update: int) -> bool:
        return isinstance(self._objective, Refreshing) and self._objective.is_due(update)

    def _refresh(self, update: int) -> None:
        assert isinstance(self._objective, Refreshing)
        with self.learner.gathered():
            self._objective.refresh(update)

    def _note_damage(self, progress: Progress, label: str) -> None:
        on = f"goes on from update {self.reached.update}" if self.reached.update else "starts again"
        for place, damage in zip(self._latest.damaged, self._latest.damages, strict=True):
            progress.note(
                f"{place}: a checkpoint whose bytes cannot be trusted ({damage}); {label} {on}, "
                "and ends in the same bytes"
            )

    def _note_changes(self, progress: Progress, label: str) -> None:
        """Note changed numbers of processes or threads, or changed sharding, on resuming."""
        begun, now = self.reached.n_processes, self._accelerator.num_processes
        if begun not in {None, now}:
            progress.note(
                f"{label}: begun by {begun} processes, continued by {now}; samples and dropout "
                "are the same, but sums are rounded differently, so the last digits may differ"
            )
        was_threads, threads = self.reached.n_threads, torch.get_num_threads()
        if begun in {None, now} and was_threads not in {None, threads}:
            progress.note(
                f"{label}: begun with {was_threads} threads, continued with {threads}; sums are rounded differently, so "
                f"the last digits may differ (OMP_NUM_THREADS={was_threads} continues as it was begun)"
            )
        was, is_sharded = self.reached.is_sharded, self.learner.is_sharded
        if was not in {None, is_sharded}:
            progress.note(
                f"{label}: begun {'in' if was else 'without'} shards, continued "
                f"{'in' if is_sharded else 'without'} them; dropout is drawn differently from here"
            )
        self.reached.n_processes, self.reached.n_threads = now, threads
        self.reached.is_sharded = is_sharded
        if is_sharded:
            progress.note(
                f"{label}: the model is in {now} shards (FSDP); a cross-encoder's batch is one forward "
                "pass, so a large one draws other dropout than without shards"
            )

    def _batches(self, update: int) -> list[_UpdateBatch]:
        """The batches of an update that this process computes, ready for the model."""
        accelerator, batches = self._accelerator, self._objective.batches(update)
        shares = self._objective.shares(batches)
        process, n_processes = accelerator.process_index, accelerator.num_processes
        if self._objective.splits_batches:
            process, n_processes = 0, 1
        mine = part_of(len(batches), process, n_processes, in_step=self.learner.is_sharded)
        return [
            _UpdateBatch(
                place, self._objective.prepared(batches[place]), shares[place] * counts, counts
            )
            for place, counts in mine
        ]

    def _updated(self, update: int, batches: Sequence[_UpdateBatch]) -> dict[str, float]:
        """Do one update; the row of the log for it."""
        accelerator = self._accelerator
        rate = learning_rate_at(update, self._recipe)
        for group in self.learner.optimizer.param_groups:
            group["lr"] = rate
        self.learner.wrapped.train()
        losses: list[Tensor] = []
        seen: list[BatchFacts] = []
        for n, batch in enumerate(batches, start=1):
            # by the batch's place, not the process: any number of processes draws the same dropout
            seed_dropout(seed_for(self._recipe.seed, "batch", update, batch.place))
            with self.learner.kept_local() if n < len(batches) else nullcontext():
                with self._half:
                    outcome = self._objective.outcome(self._forward, batch.ready)
                loss = outcome.loss * batch.share
                # the gradient of several processes is their mean, and we want their sum
                accelerator.backward(loss * accelerator.num_processes)
            losses.append(loss.detach())
            seen += [outcome.seen] if outcome.seen else []
        norm = nn.utils.clip_grad_norm_(self.learner.module.parameters(), self._recipe.clip_norm)
        self.learner.optimizer.step()
        self.learner.optimizer.zero_grad(set_to_none=True)
        facts = {
            "loss": self._sum(losses),
            "learning_rate": rate,
            "gradient_norm": float(shards.whole(norm)),
        }
        if seen:
            weighed = [part.chance * batch.share for part, batch in zip(seen, batches, strict=True)]
            facts["chance"] = self._sum(weighed)
            facts["right_pairs"] = self._mean([part.right_pairs for part in seen], batches)
        if (update + 1) % guards.look_every(self._recipe.max_updates) == 0:
            facts |= self._looked(batches)
        return facts

    def _looked(self, batches: Sequence[_UpdateBatch]) -> dict[str, float]:
        """Spread and ties of the scores of some queries, without dropout; {} where there are no scores."""
        few = [self._objective.looked_at(batch.ready) for batch in batches]
        if any(part is None for part in few):
            return {}
        model = self.learner.module.eval()
        with torch.no_grad():
            outcomes = [self._objective.outcome(model, part) for part in few]
        self.learner.let_go()
        seen = [outcome.seen for outcome in outcomes if outcome.seen]
        return {
            "score_spread": self._mean([facts.score_spread for facts in seen], batches),
            "tied_share": self._mean([facts.tied_share for facts in seen], batches),
        }

    def _mean(self, parts: Sequence[Mean], batches: Sequence[_UpdateBatch]) -> float:
        """The mean over all batches of all processes, from the parts of this one's."""
        own = [part for part, batch in zip(parts, batches, strict=True) if batch.is_counted]
        n = self._sum([part.n for part in own])
        return self._sum([part.total for part in own]) / n if n else parts[0].of_none

    def _sum(self, parts: Sequence[Tensor]) -> float:
        """The sum of the parts of all processes; of one's alone where all have done the same batches."""
        mine = sum(parts, torch.zeros(())).to(self._accelerator.device)
        how = "mean" if self._objective.splits_batches else "sum"
        return float(self._accelerator.reduce(mine, how))

    def _logged(self, row: dict[str, float]) -> None:
        self.reached.log.append(row)
        if self._recipe.trackers:
            facts = {name: value for name, value in row.items() if name != "update"}
            self._accelerator.log(facts, step=int(row["update"]))
        self._watch.saw(row)

    def _validated(self, update: int) -> bool:
        """Validate if it is due; True if this update is the best so far (update 0 does not count)."""
        every, last = self._recipe.validate_every, update == self._recipe.max_updates
        if self._validate is None or every is None or not (update % every == 0 or last):
            return False
        with self.learner.gathered():
            values = self._validate()
        self._logged({"update": update, **values})
        value, best = values["validation"], self.reached.best_value
        if update == 0 or (best is not None and value <= best):
            return False
        self.reached.best_update, self.reached.best_value = update, value
        return True

    def _lost_patience(self) -> bool:
        """True if as many validations as the recipe's patience have passed since the best."""
        if self._recipe.patience is None or self.reached.best_update is None:
            return False
        since = [
            row
            for row in self.reached.log
            if "validation" in row and row["update"] > self.reached.best_update
        ]
        return len(since) >= self._recipe.patience

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._accelerator.wait_for_everyone()

    def _saved(self) -> None:
        is_first = self._accelerator.is_main_process
        if is_first or self.learner.is_sharded:  # the parts of all make the whole
            learner, objective = self.learner, self._objective
            remembered = objective.state() if isinstance(objective, Remembering) else {}
            state = checkpoint.State.of(learner.module, learner.optimizer, remembered)
        if is_first:
            if isinstance(self._objective, Refreshing):
                self.reached.found_at = self._objective.found_at(self.reached.update)
            checkpoint.save(self._checkpoints, state, self.reached)
        self.wait()
