"""Changes of weights between two rankers: how far each module moved, and in how many directions.

The rankers have one architecture: one was tuned from the other, or both from a third. Layers are numbered as in
`representations`: 0 is the input of the first block, n the nth block. Whatever follows the last block (a pooler that is
used, a dense layer, the scoring head) counts as one further layer.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rankscope.core.errors import BadInput
from rankscope.core.words import counted
from rankscope.models import anatomy
from rankscope.models.ranker import TrainableRanker


class ModulePlace(NamedTuple):
    """A module's position in a ranker."""

    tower: str
    """query or document; empty where one encoder reads both."""
    layer: int
    """0 for the input of the first block, n for the nth block, and one above the last for whatever follows it."""
    part: str
    """The module's name inside the layer, such as attention.self.query."""


class ModuleWeights(NamedTuple):
    """A module's own weights, without those of its children."""

    place: ModulePlace
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class ModuleChange:
    """How far a module's weights moved, and in how many directions."""

    module: str
    place: ModulePlace
    n_weights: int
    moved: float
    """||after - before||, the Frobenius norm over matrix and bias."""
    size: float
    """||before||."""
    effective_rank: float | None
    """The effective rank of the update of its matrix, the largest if there are several; None without a matrix."""
    highest_rank: int | None

    @property
    def displacement(self) -> float | None:
        """||after - before|| / ||before||; None for weights that were all 0 and have changed."""
        return displacement([self])


def modules(ranker: TrainableRanker) -> dict[str, ModuleWeights]:
    """Every module of a ranker that has weights of its own, by its name in the model.

    Poolers of bi-encoders are left out: no pooling here reads them, and where a checkpoint has none, every loading
    draws new ones. Raises BadInput for an encoder whose layers share their weights.
    """
    encoders = {id(encoder) for encoder in anatomy.encoders(ranker.model)}
    sides = _sides(ranker)
    unread = _unread(ranker)
    depth = max(len(_blocks(encoder)) for encoder in anatomy.encoders(ranker.model))
    by_name: dict[str, ModuleWeights] = {}
    inside: dict[str, ModulePlace] = {}
    for name, module in ranker.model.named_modules():
        side = sides.get(id(module), "")
        if id(module) in encoders:
            inside |= {
                f"{name}.{local_name}" if name else local_name: place
                for local_name, place in _places(module, side).items()
            }
        weights = dict(module.named_parameters(recurse=False))
        if weights and id(module) not in unread:
            part = name.rpartition(f".{side}.")[2] if side else name
            by_name[name] = ModuleWeights(
                inside.get(name, ModulePlace(side, depth + 1, part)), weights
            )
    return by_name


def _sides(ranker: TrainableRanker) -> Mapping[int, str]:
    """The id of every module that only one of several sides uses, to that side."""
    if len(ranker.sides) == 1:
        return {}
    of_side = {
        side: {id(part) for module in ranker.modules(side) for part in module.modules()}
        for side in ranker.sides
    }
    met = Counter(part for parts in of_side.values() for part in parts)
    return {part: side for side, parts in of_side.items() for part in parts if met[part] == 1}


def _unread(ranker: TrainableRanker) -> set[int]:
    return {id(part) for module in ranker.unread for part in module.modules()}


def _blocks(encoder: Any) -> list[nn.Module]:
    blocks = anatomy.layers(encoder)
    if not blocks:
        raise BadInput(
            f"{type(encoder).__name__}: its layers share their weights, so none can be said to have moved by "
            "itself. Compare rankers whose layers have weights of their own."
        )
    return blocks


def _places(encoder: Any, tower: str) -> dict[str, ModulePlace]:
    """The place of each module of an encoder, by its name in it.

    Modules that are registered before the blocks feed the first block, and so do embedding tables wherever they are
    registered (those of relative positions, which every block reads).
    """
    blocks = _blocks(encoder)
    numbers = {id(block): number for number, block in enumerate(blocks, start=1)}
    by_name: dict[str, ModulePlace] = {}
    block, layer = "", 0
    for name, module in encoder.named_modules():
        if id(module) in numbers:
            block, layer = f"{name}.", numbers[id(module)]
        if block and f"{name}.".startswith(block):
            by_name[name] = ModulePlace(tower, layer, name.removeprefix(block))
        else:
            is_behind = layer > 0 and not isinstance(module, nn.Embedding)
            part = name.removeprefix(f"{encoder.base_model_prefix}.")
            by_name[name] = ModulePlace(tower, len(blocks) + 1 if is_behind else 0, part)
    return by_name


def weight_changes(
    before: Mapping[str, ModuleWeights], after: Mapping[str, ModuleWeights]
) -> list[ModuleChange]:
    """Every module's change, matched by name. Raises BadInput where the architectures differ."""
    _check_alike(before, after)
    return [_change(name, module, after[name]) for name, module in before.items()]


def _check_alike(before: Mapping[str, ModuleWeights], after: Mapping[str, ModuleWeights]) -> None:
    """Raise BadInput where the architectures differ in names or shapes of weights."""
    shapes = [
        {
            f"{name}.{weight}": tuple(tensor.shape)
            for name, module in side.items()
            for weight, tensor in module.weights.items()
        }
        for side in (before, after)
    ]
    advice = "Give two rankers of one lineage: one tuned from the other, or both from one."
    alone = sorted(shapes[0].keys() ^ shapes[1].keys())
    if alone:
        raise BadInput(
            f"The two rankers have different architectures: {counted(len(alone), 'weight is', 'weights are')} in one of them only "
            f"(first: {alone[0]}). {advice}"
        )
    for name, shape in shapes[0].items():
        if shape != shapes[1][name]:
            raise BadInput(
                f"The two rankers have different architectures: {name} is {_by(shape)} in one and "
                f"{_by(shapes[1][name])} in the other. {advice}"
            )


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _change(name: str, before: ModuleWeights, after: ModuleWeights) -> ModuleChange:
    moved = size = 0.0
    matrix: Tensor | None = None
    for weight, tensor in before.weights.items():
        old, new = (values.detach().cpu().double() for values in (tensor, after.weights[weight]))
        for which, values in (("before", old), ("after", new)):
            if not values.isfinite().all():
                raise BadInput(
                    f"{name}.{weight} of the ranker {which} has values that are not finite. Give a checkpoint from "
                    "before its training broke, or save it in a wider precision."
                )
        update = new - old
        moved += float(update.square().sum())
        size += float(old.square().sum())
        if update.dim() == 2 and (matrix is None or update.numel() > matrix.numel()):
            matrix = update
    return ModuleChange(
        module=name,
        place=before.place,
        n_weights=sum(weight.numel() for weight in before.weights.values()),
        moved=math.sqrt(moved),
        size=math.sqrt(size),
        effective_rank=None if matrix is None else effective_rank(matrix),
        highest_rank=None if matrix is None else min(matrix.shape),
    )


def displacement(changes: Iterable[ModuleChange]) -> float | None:
    """||after - before|| / ||before|| of several modules together; None where all weights were 0 and have changed."""
    moved, size = zip(*((change.moved, change.size) for change in changes), strict=True)
    if not any(moved):
        return 0.0
    return math.hypot(*moved) / math.hypot(*size) if any(size) else None


def effective_rank(update: Tensor) -> float:
    """The effective rank of an update: the exponential of the entropy of its singular values over their sum.

    It is 1 for one direction, the rank where all are equally strong (Roy & Vetterli 2007), and 0 for an update of 0.
    update: (rows, columns). Values below the rounding of float64 count as 0. Weights that were stored in a lower
    precision add their rounding to the update, in nearly all directions.
    """
    wide = update.double() if update.shape[0] <= update.shape[1] else update.double().mT
    squares = torch.linalg.eigvalsh(wide @ wide.mT).clamp(min=0)
    floor = float(squares.max()) * len(squares) * torch.finfo(torch.float64).eps
    values = squares[squares > floor].sqrt()
    if not len(values):
        return 0.0
    shares = values / values.sum()
    return math.exp(-float((shares * shares.log()).sum()))
