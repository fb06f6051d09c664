"""Weights, optimiser and position in the data, restored bit for bit.

    updates-000120/           the state after 120 updates; present = complete
      weights.safetensors     every parameter that is trained
      optimizer.safetensors   <moment>/<parameter>
      objective.safetensors   what the objective remembers, if anything: a copy, a queue
      state.json              update, log, best update so far

No schedule, sampler or random state is stored: the learning rate, the samples and the random
numbers of an update are functions of the seed and the update's number (see `loop` and `batches`).
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rankscope.store.artifacts import explained
from rankscope.train.shards import placed, whole


@dataclass
class Progressed:
    """How far a training is: updates done, what was logged, and the best update by validation."""

    update: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    best_update: int | None = None
    best_value: float | None = None
    n_processes: int | None = None
    """By how many processes the last of the updates were done."""
    n_threads: int | None = None
    """By how many threads of each process."""
    is_sharded: bool | None = None
    """Whether each of them held a part of the model."""


@dataclass(frozen=True)
class State:
    """What a training has learnt, on the CPU."""

    weights: Mapping[str, Tensor]
    moments: Mapping[str, Tensor]
    remembered: Mapping[str, Tensor]

    @classmethod
    def of(
        cls,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        remembered: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> "State":
        """The state as it is now; of a model in shards all processes must ask."""
        kept = {name: tensor.detach().cpu().clone() for name, tensor in remembered.items()}
        return cls(weights_of(model), _moments(model, optimizer), kept)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter that is trained on the CPU, tied ones once."""
    return {
        name: whole(weight.detach()).cpu().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


def restore_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Write the weights into the model, exactly; others stay as they are."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(placed(weights[name], like=parameter))


def save(folder: Path, state: State, reached: Progressed) -> None:
    """Store the state after `reached.update` updates; drop older ones but the best."""
    place = _folder(folder, reached.update)
    aside = folder / ".partial"
    with explained(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(dict(state.weights), aside / "weights.safetensors")
        save_file(dict(state.moments), aside / "optimizer.safetensors")
        if state.remembered:
            save_file(dict(state.remembered), aside / "objective.safetensors")
        (aside / "state.json").write_text(json.dumps(asdict(reached)), "utf-8")
        shutil.rmtree(place, ignore_errors=True)
        aside.replace(place)
        for old in folder.glob("updates-*"):
            if old not in {place, _folder(folder, reached.best_update)}:
                shutil.rmtree(old)


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progressed:
    """Go back to the latest stored state, if there is one."""
    stored = sorted(folder.glob("updates-*"))
    if not stored:
        return Progressed()
    restore_weights(model, load_file(stored[-1] / "weights.safetensors"))
    moments: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(stored[-1] / "optimizer.safetensors").items():
        moment, _, name = key.partition("/")
        moments.setdefault(name, {})[moment] = tensor
    for name, parameter in model.named_parameters():
        if name in moments:
            optimizer.state[parameter] = {
                moment: placed(tensor, like=parameter) for moment, tensor in moments[name].items()
            }
    return Progressed(**json.loads((stored[-1] / "state.json").read_text("utf-8")))


def remembered(folder: Path, reached: Progressed) -> dict[str, Tensor]:
    """What the objective remembered at that update; {} before the first."""
    stored = _folder(folder, reached.update) / "objective.safetensors"
    return load_file(stored) if stored.is_file() else {}


def best_weights(folder: Path, reached: Progressed) -> dict[str, Tensor]:
    """The weights of the best update."""
    return load_file(_folder(folder, reached.best_update) / "weights.safetensors")


def _folder(folder: Path, update: int | None) -> Path:
    return folder / f"updates-{-1 if update is None else update:09d}"


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{moment}/{name}": whole(tensor.detach()).cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for moment, tensor in optimizer.state[parameter].items()
    }
