"""A pretrained encoder and its tokenizer at a pinned revision; no weight left at random unnoticed.

transformers fills every weight a checkpoint lacks with random numbers and prints a table. Here
only a scoring head may be fresh (what lies outside the encoder, and the encoder's pooler, which
masked-language checkpoints do not have); anything else is refused. Weights are read from
safetensors only, and no code that comes with a model is run.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.models import anatomy
from rankscope.models.location import Location


@dataclass(frozen=True)
class Backbone:
    """A loaded model with one output, its tokenizer, and what loading it told."""

    model: nn.Module
    tokenizer: Any
    fresh: tuple[str, ...]
    """Weights the checkpoint does not have: the scoring head, drawn from the seed."""
    unused: tuple[str, ...]
    """Weights of the checkpoint that this model has no place for."""


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block transformers reports nothing but errors: what matters is returned."""
    logging: Any = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def device() -> torch.device:
    """Where models run: an accelerator if there is one."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def load_scorer(location: Location, *, seed: int) -> Backbone:
    """An encoder with a head of one label; a head the checkpoint lacks is drawn from the seed."""
    model, info = _loaded(transformers.AutoModelForSequenceClassification, location, seed=seed)
    with quiet():
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            location.source, revision=location.revision, trust_remote_code=False
        )
    if model.config.pad_token_id is None or tokenizer.pad_token_id is None:
        raise BadInput(
            f"{location.source}: no padding token, so docs of unequal length cannot share a batch."
        )
    return Backbone(model, tokenizer, *info)


def check_encoder(location: Location) -> None:
    """Refuse a bare encoder whose checkpoint leaves weights at random (its pooler may be missing)."""
    _loaded(transformers.AutoModel, location, seed=0)


def _loaded(
    auto: Any, location: Location, *, seed: int
) -> tuple[Any, tuple[tuple[str, ...], tuple[str, ...]]]:
    labels = {"num_labels": 1} if auto is transformers.AutoModelForSequenceClassification else {}
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, info = auto.from_pretrained(
                location.source,
                revision=location.revision,
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                **labels,
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"The model {location.source!r} cannot be loaded ({reason}). Give a folder with "
            "config.json and safetensors weights, or a hub id that can be reached."
        ) from error
    missing, unused = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    # (name, shape in the checkpoint, shape in the model)
    resized = sorted(str(entry[0]) for entry in info["mismatched_keys"])
    encoder = "" if auto is transformers.AutoModel else f"{model.base_model_prefix}."
    left = [name for name in missing if not _is_head(name, encoder)] + resized
    if left:
        raise BadInput(
            f"The model {location.source!r} would be left partly at random: {len(left)} weights are "
            f"missing or of another shape (first: {left[0]}). Give a checkpoint of the whole encoder."
        )
    return model, (tuple(missing), tuple(unused))


def _is_head(name: str, encoder: str) -> bool:
    inside = name.removeprefix(encoder) if name.startswith(encoder) else None
    return inside is None or inside.startswith("pooler.")


def frozen_weights(model: Any, parts: Sequence[str], n_layers: int) -> list[torch.Tensor]:
    """The weights of parts of a model: position_embeddings, embeddings, encoder, the lowest layers.

    The lowest layers take the embeddings along: what feeds a frozen layer is frozen too.
    """
    encoder = getattr(model, model.base_model_prefix)
    found: list[torch.Tensor] = []
    if "position_embeddings" in parts:
        found += position_embeddings(model)
    if "embeddings" in parts or n_layers:
        found += encoder.get_input_embeddings().parameters()
        found += getattr(encoder, "embeddings", nn.Identity()).parameters()
    if n_layers:  # ELECTRA's, from the width of its embeddings to that of its layers
        found += getattr(encoder, "embeddings_project", nn.Identity()).parameters()
    if "encoder" in parts:
        found += [w for name, w in encoder.named_parameters() if not name.startswith("pooler.")]
    for layer in _layers(encoder, n_layers):
        found += layer.parameters()
    return list({id(weight): weight for weight in found}.values())


def _layers(encoder: Any, n: int) -> list[nn.Module]:
    if not n:
        return []
    depth = encoder.config.num_hidden_layers
    if n > depth:
        raise BadInput(
            f"freeze_layers: {n} are asked for, but {type(encoder).__name__} has {depth} layers. "
            "Lower it."
        )
    stack = anatomy.layers(encoder)
    if not stack:
        raise BadInput(
            f"freeze_layers: {type(encoder).__name__} has no layers of their own weights. Drop it."
        )
    return stack[:n]


def position_embeddings(model: nn.Module) -> list[torch.Tensor]:
    """The weights of the absolute position embeddings; BadInput for a model without any."""
    found = [
        module.weight
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    if not found:
        raise BadInput(
            f"{type(model).__name__} has no absolute position embeddings to freeze. "
            "Drop `position_embeddings` from `freeze`."
        )
    return found
