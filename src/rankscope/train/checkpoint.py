"""Weights, optimiser and position in the data, restored bit for bit.

    updates-000120/           the state after 120 updates; present = complete
      weights.safetensors     every parameter that is trained
      optimizer.safetensors   <moment>/<parameter>
      objective.safetensors   what the objective remembers, if anything: a copy, a queue
      state.json              update, log, best update so far
      sums.json               SHA-256 of each of these files
    found-000100/             what the model found at update 100, for the samples from there on

No schedule, sampler or random state is stored: the learning rate, the samples and the random
numbers of an update are functions of the seed and the update's number (see `loop` and `batches`).

The disk has a state before the one before the last is dropped, so two are there: a training goes on
from the latest whose bytes are all those that were written, or from the start. Either way it ends
in the same bytes.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rankscope.core.errors import DamagedArtifact
from rankscope.store.durable import broken_seal, written_sealed
from rankscope.store.refusals import explained
from rankscope.train.shards import placed, whole


@dataclass
class Progressed:
    """How far a training is: updates done, what was logged, and the best update by validation."""

    update: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    best_update: int | None = None
    best_value: float | None = None
    n_processes: int | None = None
    """Processes that did the last of the updates."""
    n_threads: int | None = None
    """Threads of each process."""
    is_sharded: bool | None = None
    """Whether each process held a part of the model."""
    found_at: int | None = None
    """The earlier update whose retrieved docs the next samples are made of; None where there is none."""


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
    """Store the state after `reached.update` updates; drop older ones but the one before and the best."""
    place = _folder(folder, reached.update)
    with explained(folder):
        with written_sealed(place) as aside:
            save_file(dict(state.weights), aside / "weights.safetensors")
            save_file(dict(state.moments), aside / "optimizer.safetensors")
            if state.remembered:
                save_file(dict(state.remembered), aside / "objective.safetensors")
            (aside / "state.json").write_text(json.dumps(asdict(reached)), "utf-8")
        before = [stored for stored in _stored(folder) if stored.name < place.name][-1:]
        kept = {place, *before, _folder(folder, reached.best_update)}
        kept |= {
            _folder(folder, _progressed(stored_before).best_update) for stored_before in before
        }
        for old in set(_stored(folder)) - kept:
            shutil.rmtree(old)


class Latest(NamedTuple):
    """The latest stored state that a training can resume from."""

    place: Path | None
    """None for the start."""
    reached: Progressed
    damaged: tuple[Path, ...]
    """Later states, which it cannot resume from."""
    damages: tuple[str, ...]
    """A sentence on each of the damaged states."""


def latest(folder: Path, *, needs_best: bool) -> Latest:
    """The state to resume from; with `needs_best`, one for which the weights of the best update are whole too."""
    damages: dict[Path, str] = {}
    for place in reversed(_stored(folder)):
        damage = _damage(place) or _damage_beside(place, needs_best=needs_best)
        if damage is None:
            return Latest(place, _progressed(place), (*damages,), (*damages.values(),))
        damages[place] = damage
    return Latest(None, Progressed(), (*damages,), (*damages.values(),))


def drop(folder: Path, unusable: Latest) -> None:
    """Remove the damaged states, and what was retrieved after the state to resume from."""
    later = [
        finds
        for finds in folder.glob("found-*")
        if unusable.damaged and finds > found_folder(folder, unusable.reached.update)
    ]
    for place in (*unusable.damaged, *later):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def restore(place: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Go back to a stored state."""
    restore_weights(model, load_file(place / "weights.safetensors"))
    moments: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_file(place / "optimizer.safetensors").items():
        moment, _, name = key.partition("/")
        moments.setdefault(name, {})[moment] = tensor
    for name, parameter in model.named_parameters():
        if name in moments:
            optimizer.state[parameter] = {
                moment: placed(tensor, like=parameter) for moment, tensor in moments[name].items()
            }


def remembered(place: Path) -> dict[str, Tensor]:
    """What the objective remembered then."""
    stored = place / "objective.safetensors"
    return load_file(stored) if stored.is_file() else {}


def best_weights(folder: Path, reached: Progressed) -> dict[str, Tensor]:
    """The weights of the best update; DamagedArtifact if they are not what was written."""
    place = _folder(folder, reached.best_update)
    damage = broken_seal(place)
    if damage is not None:
        raise DamagedArtifact(
            f"{place}: {damage}, so the best update's weights are lost. Run again: the training goes "
            "on from before it, or from its start, and ends in the same bytes."
        )
    return load_file(place / "weights.safetensors")


def found_folder(folder: Path, update: int) -> Path:
    """Where what the model found at an update is kept, sealed."""
    return folder / f"found-{update:09d}"


def _stored(folder: Path) -> list[Path]:
    return sorted(folder.glob("updates-*"))


def _progressed(place: Path) -> Progressed:
    return Progressed(**json.loads((place / "state.json").read_text("utf-8")))


def _damage(place: Path) -> str | None:
    """What is wrong with a stored state, in words."""
    damage = broken_seal(place)
    if damage is not None:
        return damage
    try:
        reached = _progressed(place)
    except (OSError, TypeError, ValueError):
        return "state.json is of another version of rankscope"
    return None if _folder(place.parent, reached.update) == place else "it lies in another's place"


def _damage_beside(place: Path, *, needs_best: bool) -> str | None:
    """What is wrong beside a whole state with what is needed to go on from it, in words."""
    reached, folder = _progressed(place), place.parent
    needed = []
    if needs_best and reached.best_update is not None:
        needed.append(_folder(folder, reached.best_update))
    if reached.found_at is not None:
        needed.append(found_folder(folder, reached.found_at))
    for other in needed:
        damage = broken_seal(other)
        if damage is not None:
            return f"it needs {other.name}, where {damage}"
    return None


def _folder(folder: Path, update: int | None) -> Path:
    return folder / f"updates-{-1 if update is None else update:09d}"


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{moment}/{name}": whole(tensor.detach()).cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for moment, tensor in optimizer.state[parameter].items()
    }
