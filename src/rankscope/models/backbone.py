"""A pretrained encoder and its tokenizer at a pinned revision; no weight left at random unnoticed.

transformers fills every weight a checkpoint lacks with random numbers and prints a table. Here
only a scoring head may be fresh (what lies outside the encoder, and the encoder's pooler, which
masked-language checkpoints do not have and a bi-encoder then goes without); anything else is refused. Weights are read from
safetensors only, and no code that comes with a model is run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open
from tokenizers.processors import TemplateProcessing
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.models import anatomy
from rankscope.models.location import Location

COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
"""Model types whose positions begin behind the padding token's id."""
DPR = {"DPRQuestionEncoder": "question_encoder", "DPRContextEncoder": "ctx_encoder"}
"""DPR's two classes, and where in each its BERT is."""
BERT_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings",
    "type_vocab_size", "initializer_range", "layer_norm_eps", "pad_token_id",
)  # fmt: skip


@dataclass(frozen=True)
class Backbone:
    """A loaded model with one output, its tokenizer, and what loading it told."""

    model: nn.Module
    tokenizer: Any
    fresh: tuple[str, ...]
    """Weights the checkpoint does not have: the scoring head, drawn from the seed."""
    unused: tuple[str, ...]
    """Weights of the checkpoint that this model has no place for."""


@dataclass(frozen=True)
class Encoder:
    """A bare encoder or decoder without any head, its tokenizer, and what loading it told."""

    model: nn.Module
    tokenizer: Any
    fresh: tuple[str, ...]
    """Weights the checkpoint does not have: at most a pooler's, which is then left out."""
    unused: tuple[str, ...]
    """Weights of the checkpoint that have no place here, such as a head's."""


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
    tokenizer = _tokenizer(location)
    if model.config.pad_token_id is None or tokenizer.pad_token_id is None:
        raise BadInput(
            f"{location.source}: no padding token, so docs of unequal length cannot share a batch."
        )
    return Backbone(model, tokenizer, *info)


def load_encoder(location: Location) -> Encoder:
    """A bare encoder with all its weights; DPR's two by their own classes.

    transformers' generic loader takes a DPR context encoder for a question encoder and leaves all
    of it at random (transformers #9725, #13670; papers.md A.8-1).
    """
    with quiet():
        config = transformers.AutoConfig.from_pretrained(
            location.source, revision=location.revision, trust_remote_code=False
        )
    if config.model_type != "dpr":
        model, info = _loaded(transformers.AutoModel, location, seed=0)
        if info[0]:
            leave_out_pooler(model)
        return Encoder(model, _padding(_tokenizer(location)), *info)
    (name,) = config.architectures or ("",)
    if name not in DPR or config.projection_dim:
        raise BadInput(
            f"{location.source}: a DPR model of the class {name or 'unknown'} with a projection to "
            f"{config.projection_dim} numbers; question and context encoders without one are supported. "
            "Correct `architectures` in its config.json."
        )
    whole, info = _loaded(getattr(transformers, name), location, seed=0)
    inner = getattr(whole, DPR[name]).bert_model
    # as BERT, which it is: saved under DPR's name, every loader would take it for a question encoder
    same = {key: value for key, value in config.to_dict().items() if key in BERT_FIELDS}
    bert = transformers.BertModel(transformers.BertConfig(**same), add_pooling_layer=False)
    bert.load_state_dict(inner.state_dict())
    bert.requires_grad_(True).train(False)
    return Encoder(bert, _padding(_tokenizer(location)), *info)


def stored_as(folder: Path) -> str | None:
    """The type of most of a model's weights as safetensors calls it (F32, BF16), whatever they are loaded as.

    None for a folder without weights of a whole model, as an adapter's.
    """
    found: Counter[str] = Counter()
    for path in sorted(folder.rglob("model*.safetensors")):
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118, it is no mapping
                weight = file.get_slice(name)
                found[weight.get_dtype()] += prod(weight.get_shape())
    return max(found, key=lambda name: found[name], default=None)


def leave_out_pooler(encoder: Any) -> None:
    """Take an encoder's pooler out, if it has one: where it is fresh, nothing may read what was drawn at random."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None


def _tokenizer(location: Location) -> Any:
    with quiet():
        return transformers.AutoTokenizer.from_pretrained(
            location.source, revision=location.revision, trust_remote_code=False
        )


def _padding(tokenizer: Any) -> Any:
    """The tokenizer with some padding token; masks, not ids, say what is padding."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def end_with_eos(tokenizer: Any) -> None:
    """Have the tokenizer end every text with its end token, within the length that is asked for."""
    ids = tokenizer("a")["input_ids"]
    text = tokenizer("a", add_special_tokens=False)["input_ids"]
    starts = [n for n in range(len(ids)) if ids[n : n + len(text)] == text]
    if not starts:
        raise BadInput(
            f"{type(tokenizer).__name__} reads a text otherwise with special tokens than without, so where "
            "its end token belongs is unknown. Use `cls` or `mean`."
        )
    before, behind = ids[: starts[0]], ids[starts[0] + len(text) :]
    if behind:  # it ends every text already, be it with [SEP] or a token of its own
        return
    if tokenizer.eos_token is None:
        raise BadInput(
            f"{type(tokenizer).__name__} has no end token, and `pooling: last` reads the last token. "
            "Use `cls` or `mean`, or give the tokenizer an `eos_token`."
        )
    before = tokenizer.convert_ids_to_tokens(before)
    if hasattr(tokenizer, "add_eos_token"):
        tokenizer.add_eos_token = True  # else loading it again would take the end token away
    specials = dict.fromkeys([*before, tokenizer.eos_token])
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[*before, "$A", tokenizer.eos_token],
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in specials],
    )


def longest(model: nn.Module, tokenizer: Any) -> int:
    """How many tokens the model has positions for and the tokenizer allows."""
    config: Any = model.config
    skipped = config.pad_token_id + 1 if config.model_type in COUNT_FROM_PADDING else 0
    return min(int(tokenizer.model_max_length), int(config.max_position_embeddings) - skipped)


def check_encoder(location: Location) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Refuse a bare encoder whose checkpoint leaves weights at random; its missing and unused weights.

    Its pooler may be missing.
    """
    return _loaded(transformers.AutoModel, location, seed=0)[1]


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
    is_scorer = auto is transformers.AutoModelForSequenceClassification
    encoder = f"{model.base_model_prefix}." if is_scorer else ""
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
    encoder = model.base_model
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
