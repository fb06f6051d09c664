"""Open a ranker from a folder or hub id, of the kind that its files declare, and place it on the device.

No other module opens a ranker or chooses its device, so training, search, probes and attribution all run on the
same device. Rankers are loaded, and tried, on the processor; then they are moved.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import has_name
from rankscope.core.visible import brief
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.fast.precision import require
from rankscope.models.inference import AS_IT_IS, Inference
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location, declared_kind, downloaded, kind_of, located
from rankscope.models.ranker import SIDES, Side
from rankscope.models.towers import POOLINGS

LONGEST: dict[Side, int] = {"query": 64, "document": 256}
"""Tokens that are read of a text by a bare encoder."""


class _WithWeights(Protocol):
    @property
    def model(self) -> nn.Module: ...


R = TypeVar("R", bound=_WithWeights)
AnyRanker = CrossEncoder | BiEncoder | LateInteraction
"""A ranker of any kind that a folder can declare."""


def device() -> torch.device:
    """The device that rankers run on: an accelerator if there is one."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def device_called(name: str | None) -> torch.device:
    """The device of that name; the one that rankers run on, if None. Raises BadInput for one that is not here."""
    if name is None:
        return device()
    there = device()
    n_there = torch.accelerator.device_count() if there.type != "cpu" else 0
    names = [
        "cpu",
        *([there.type] if n_there else []),
        *(f"{there.type}:{n}" for n in range(n_there)),
    ]
    if name not in names:
        raise BadInput(
            f"The device {brief(name)} is not here. There are: {', '.join(names)}. Name one of them, or leave --device out."
        )
    return torch.device(name)


def require_precision(precision: str, on: str | None = None) -> None:
    """Raise BadInput for a precision that is slower than float32 on the device, UnknownChoice for none."""
    require(precision, device_called(on))


def placed(ranker: R, on: str | None = None) -> R:
    """The ranker, its weights moved to the device."""
    ranker.model.to(device_called(on))
    return ranker


def opened(
    models: Sequence[str], *, revision: str | None, pooling: str | None
) -> dict[str, BiEncoder | CrossEncoder]:
    """The rankers by name: NAME=MODEL, or a model by its own; all of one kind.

    A bare encoder, as a pre-trained one, is read with the `pooling`.
    """
    rankers: dict[str, BiEncoder | CrossEncoder] = {}
    for written in models:
        name, model = named(written)
        if name in rankers:
            raise BadInput(f"Two models are called {name!r}. Name one: NAME={model}.")
        rankers[name] = _opened(located(model, revision=revision), pooling)
    if len({type(ranker) for ranker in rankers.values()}) > 1:
        raise BadInput(
            "Some models read query and doc together and some apart, so their hidden states cannot be compared. "
            "Give models of one kind."
        )
    return rankers


def named(written: str) -> tuple[str, str]:
    """A model's name and its path or hub id, from NAME=MODEL or MODEL alone."""
    name, model = written.split("=", 1) if has_name(written) else ("", written)
    return name or _called(model), model


def _called(model: str) -> str:
    """A folder's name; its step's, where a study keeps it, or its package's."""
    path = Path(model)
    return path.parent.name.removeprefix("package:") if path.name == "model" else path.name


def _opened(location: Location, pooling: str | None) -> BiEncoder | CrossEncoder:
    folder = downloaded(location)
    kind = declared_kind(folder)
    if kind == "late_interaction":
        raise BadInput(
            f"{location.name}: a ColBERT (late interaction), which has a vector a token and no states of whole texts. "
            "Give bi-encoders or cross-encoders."
        )
    if kind == "cross_encoder":
        return placed(CrossEncoder.load(folder))
    if kind == "bi_encoder":
        return open_bi_encoder(location)
    if pooling is None:
        raise BadInput(
            f"{location.name}: a bare encoder, so its pooling is unknown. Give `--pooling`: "
            f"{', '.join(POOLINGS)}."
        )
    encoder = backbone.load_encoder(Location(location.name, folder))
    longest = backbone.longest(encoder.model, encoder.tokenizer)
    lengths: dict[Side, int] = {side: min(LONGEST[side], longest) for side in SIDES}
    choose(POOLINGS, pooling, what="pooling")
    return placed(BiEncoder.on(encoder, pooling=pooling, max_length=lengths))


def open_ranker(folder: Path, how: Inference = AS_IT_IS) -> AnyRanker:
    """A ranker from its folder, of the kind that the folder declares."""
    kind, location = kind_of(folder), Location(folder.name, folder)
    if kind == "late_interaction":
        return open_late_interaction(location, how)
    if kind == "bi_encoder":
        return open_bi_encoder(location, how)
    made = CrossEncoder.load(folder)
    if how.max_length is not None:
        made.limit(how.max_length)
    made.texts_per_batch = how.texts_per_batch
    return placed(made, how.device)


def _limit_docs(tower: Any, max_length: int | None) -> None:
    """Let a tower read so many tokens of a doc. Raises BadInput where that is more than it can, or no room for a word."""
    if max_length is None:
        return
    least = tower.tokenizer.num_special_tokens_to_add(pair=False) + 1
    most = backbone.longest(tower.model, tower.tokenizer)
    if not least <= max_length <= most:
        raise BadInput(
            f"max_length {max_length}: the model can read {least} to {most} tokens of a doc. Give a number between them."
        )
    tower.document_length = max_length


def open_trainable(folder: Path) -> CrossEncoder | BiEncoder:
    """The ranker that a stage starts from or an analysis reads, of the kind that its folder declares."""
    if kind_of(folder) == "bi_encoder":
        return open_bi_encoder(Location(folder.name, folder))
    return placed(CrossEncoder.load(folder))


def open_bi_encoder(location: Location, how: Inference = AS_IT_IS) -> BiEncoder:
    """A bi-encoder that sentence-transformers can load."""
    made = BiEncoder.load(location)
    _limit_docs(made.tower("document"), how.max_length)
    made.texts_per_batch = how.texts_per_batch
    return placed(made, how.device)


def open_late_interaction(location: Location, how: Inference = AS_IT_IS) -> LateInteraction:
    """A late-interaction model."""
    made = LateInteraction.load(location)
    _limit_docs(made.inner[0], how.max_length)
    made.texts_per_batch = how.texts_per_batch
    return placed(made, how.device)


def start_cross_encoder(
    location: Location, *, seed: int, max_length: int | None
) -> tuple[CrossEncoder, backbone.Backbone]:
    """A cross-encoder from a cross-encoder or a bare encoder, and its backbone as loaded; a missing head is drawn."""
    made, loaded = CrossEncoder.start(location, seed=seed, max_length=max_length)
    return placed(made), loaded
