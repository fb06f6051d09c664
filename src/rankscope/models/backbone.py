"""A pretrained encoder and its tokenizer at a pinned revision; no weight stays random unnoticed.

transformers fills every weight a checkpoint lacks with random numbers and prints a table. Here
only a scoring head may be fresh (what lies outside the encoder, and the encoder's pooler, which
masked-language checkpoints do not have and a bi-encoder then goes without); anything else is refused. Weights are read from
safetensors only, and no code that comes with a model is run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from tokenizers import normalizers
from tokenizers.processors import TemplateProcessing
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.core.words import counted
from rankscope.models.files import folders
from rankscope.models.location import Location, base_of, downloaded

COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet"})
"""Model types whose positions begin behind the padding token's id."""
DPR = {"DPRQuestionEncoder": "question_encoder", "DPRContextEncoder": "ctx_encoder"}
"""DPR's two classes, and where in each its BERT is."""
ENCODER_HALVES = {
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "longt5": "LongT5EncoderModel",
    "switch_transformers": "SwitchTransformersEncoderModel",
}
"""Encoder-decoders of which sentence-transformers takes the encoder alone (sentence-t5, GTR)."""
UNBOUNDED = 1_000_000_000
"""Tokens a model without positions of its own may read, where its tokenizer sets no length either."""
BERT_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings",
    "type_vocab_size", "initializer_range", "layer_norm_eps", "pad_token_id",
)  # fmt: skip


@dataclass(frozen=True)
class Backbone:
    """A loaded model with one output, its tokenizer, and the weights that were missing or unused."""

    model: nn.Module
    tokenizer: Any
    fresh: tuple[str, ...]
    """Weights the checkpoint does not have: the scoring head, drawn from the seed."""
    unused: tuple[str, ...]
    """Weights of the checkpoint that this model has no place for."""
    labels: tuple[str, ...] = ()
    """The names of two labels that were made one; the score is the second's logit less the first's."""


class _LoadReport(NamedTuple):
    """The weights in which a checkpoint and its model differ, names sorted."""

    missing: tuple[str, ...]
    unused: tuple[str, ...]
    resized: tuple[str, ...] = ()
    """Weights of another shape than the model's."""


@dataclass(frozen=True)
class Encoder:
    """A bare encoder or decoder without any head, its tokenizer, and the weights that were missing or unused."""

    model: nn.Module
    tokenizer: Any
    fresh: tuple[str, ...]
    """Weights the checkpoint does not have: at most a pooler's, which is then left out."""
    unused: tuple[str, ...]
    """Weights of the checkpoint that have no place here, such as a head's."""


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block transformers reports errors only; our functions return what matters."""
    logging: Any = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    # changed only where it must be: that empties the cache of every logger there is
    is_loud = verbosity < logging.ERROR
    if is_loud:
        logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if is_loud:
            logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_scorer(
    location: Location,
    *,
    seed: int,
    head: Mapping[str, tuple[int, ...]] | None = None,
    tokenizer_in: Path | None = None,
) -> Backbone:
    """An encoder with a head of one label; a head the checkpoint lacks is drawn from the seed.

    A head of two labels becomes one of their difference: what orders docs as the softmax over both does.
    `head` has the shapes of weights, by name, that an adapter puts in the place of the checkpoint's own;
    a head of two labels is then left for `make_one_label`. The tokenizer is that of the folder
    `tokenizer_in`, if it is another.
    """
    folder = downloaded(location)
    stored = {name: tensor.shape for name, tensor in folders.weights(folder).items()} | dict(
        head or {}
    )
    model, report = _scorer(location, folder, seed, 1)
    name, n = _head(model), 1
    shapes = [shape for key, shape in stored.items() if f".{key}".endswith(f".{name}.weight")]
    if shapes and len(shapes[-1]) == 2:
        n = shapes[-1][0]
    labels = folders.names_of_labels(folders.declared(folder / "config.json"), min(n, 10))
    if n == 2:
        model, report = _scorer(location, folder, seed, 2)
    elif n > 1:
        raise BadInput(
            f"The model {location.source!r} has {n} labels ({', '.join(labels)}), and a ranker gives one score: its "
            f"head would be of another shape (first: {name}.weight). Tune it with one label or two."
        )
    left = [
        weight for weight in (*report.resized, *_torn(model, report)) if weight not in (head or {})
    ]
    if left:
        raise _at_random(location, left)
    if n == 2 and head is None:
        make_one_label(model)
    tokenizer = read_tokenizer(tokenizer_in or folder)
    require_room(tokenizer_in or folder, model, tokenizer)
    _agree_on_padding(folder, model, tokenizer)
    fresh = tuple(sorted({*report.missing, *report.resized}))
    return Backbone(model, tokenizer, fresh, report.unused, tuple(labels) if n == 2 else ())


def _scorer(location: Location, folder: Path, seed: int, n_labels: int) -> tuple[Any, _LoadReport]:
    auto = transformers.AutoModelForSequenceClassification
    return _loaded(auto, location, folder, seed=seed, num_labels=n_labels)


def _head(model: Any) -> str:
    """The name of the last dense layer outside the encoder, which gives the logits."""
    encoder = f"{model.base_model_prefix}."
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(encoder)
    ]
    return names[-1] if names else ""


def make_one_label(model: Any) -> None:
    """Have the head of two labels give the second's logit less the first's, as a head of one label."""
    last = model.get_submodule(_head(model))
    with torch.no_grad():
        last.weight = nn.Parameter(last.weight[1:] - last.weight[:1])
        bias = last.bias
        if bias is not None:
            last.bias = nn.Parameter(bias[1:] - bias[:1])
    last.out_features = 1
    model.config.num_labels = model.num_labels = 1


def load_encoder(location: Location) -> Encoder:
    """A bare encoder with all its weights; DPR's two by their own classes.

    transformers' generic loader takes a DPR context encoder for a question encoder and leaves all
    of it at random (transformers #9725, #13670).
    """
    folder = downloaded(location)
    config = _configuration(folder)
    if config.model_type != "dpr":
        model, report = _loaded(_bare(config), location, folder, seed=0)
        if report.missing:
            leave_out_pooler(model)
        tokenizer = read_tokenizer(folder)
        require_room(folder, model, tokenizer)
        return Encoder(model, _padding(tokenizer), report.missing, report.unused)
    name, *_ = config.architectures or ("",)
    if name not in DPR or config.projection_dim:
        raise BadInput(
            f"{location.source}: a DPR model of the class {name or 'unknown'} with a projection to "
            f"{config.projection_dim} numbers; question and context encoders without one are supported. "
            "Correct `architectures` in its config.json."
        )
    whole, report = _loaded(getattr(transformers, name), location, folder, seed=0)
    inner = getattr(whole, DPR[name]).bert_model
    # as BERT, which it is: saved under DPR's name, every loader would take it for a question encoder
    same = {key: value for key, value in config.to_dict().items() if key in BERT_FIELDS}
    bert = transformers.BertModel(transformers.BertConfig(**same), add_pooling_layer=False)
    bert.load_state_dict(inner.state_dict())
    bert.requires_grad_(True).train(False)
    return Encoder(bert, _padding(read_tokenizer(folder)), report.missing, report.unused)


def _configuration(folder: Path) -> Any:
    with quiet(), folders.library_answers(folder / "config.json", "transformers cannot read it"):
        return transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)


def _bare(config: Any) -> Any:
    """The class that loads a model without a head; of T5 and its kin the encoder alone."""
    name = ENCODER_HALVES.get(config.model_type)
    return transformers.AutoModel if name is None else getattr(transformers, name)


def leave_out_pooler(encoder: Any) -> None:
    """Take an encoder's pooler out, if it has one: where it is fresh, nothing may read what was drawn at random."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder; one whose vocabulary is in no file there would be made up, and is refused."""
    what = "transformers cannot read its tokenizer"
    if not (folder / "tokenizer.json").is_file() and any(folder.glob("*.model")):
        what += (
            ", a sentencepiece vocabulary alone: open it where the package sentencepiece is installed and save a fast "
            "one beside it (tokenizer.json)"
        )
    with quiet(), folders.library_answers(folder, what):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    needed = {*getattr(tokenizer, "vocab_files_names", {}).values()} - {"tokenizer.json"}
    there = {name for name in needed if (folder / name).is_file()}
    if needed and not (folder / "tokenizer.json").is_file() and needed != there:
        raise BadInput(
            f"{folder}: its tokenizer, a {type(tokenizer).__name__}, reads its vocabulary from "
            f"{' and '.join(sorted(needed))}, and {' and '.join(sorted(needed - there))} is missing: it would be "
            "made up. Put the file there, or save a fast tokenizer (tokenizer.json)."
        )
    return tokenizer


def require_room(folder: Path, model: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for: such a token would end in an error."""
    rows = model.get_input_embeddings().num_embeddings
    token, largest = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", -1))
    if largest >= rows:
        raise BadInput(
            f"{folder}: its tokenizer has the id {largest} ({token!r}), and the model has embeddings for {rows} ids. "
            "Save the tokenizer that the model was trained with."
        )


def _agree_on_padding(folder: Path, model: Any, tokenizer: Any) -> None:
    """Have the model know the tokenizer's padding token, where its configuration has none.

    A decoder's head looks for it to find the last token. One that ends every text as well would be
    taken for padding there, so it is refused.
    """
    if tokenizer.pad_token_id is None:
        raise BadInput(
            f"{folder}: its tokenizer has no padding token, so docs of unequal length cannot share a batch. Set "
            "`pad_token` in its tokenizer_config.json."
        )
    if model.config.pad_token_id is not None:
        return
    if tokenizer("a", "b")["input_ids"][-1:] == [tokenizer.pad_token_id]:
        raise BadInput(
            f"{folder}: config.json has no `pad_token_id`, and the tokenizer's padding token "
            f"{tokenizer.pad_token!r} ends every text too, so which token the head reads is unknown. Write "
            "`pad_token_id` into config.json."
        )
    model.config.pad_token_id = tokenizer.pad_token_id


def read_lowercase(tokenizer: Any) -> None:
    """Have a tokenizer lowercase every text, as `do_lower_case` of sentence-transformers does."""
    backend = tokenizer.backend_tokenizer
    own = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


def _padding(tokenizer: Any) -> Any:
    """The tokenizer with some padding token; masks, not ids, say what is padding."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def end_with_eos(tokenizer: Any) -> None:
    """Have the tokenizer end every text with its end token, within the given length."""
    ids = tokenizer("a")["input_ids"]
    text = tokenizer("a", add_special_tokens=False)["input_ids"]
    starts = [n for n in range(len(ids)) if ids[n : n + len(text)] == text]
    if not starts:
        raise BadInput(
            f"{type(tokenizer).__name__} gives a text other tokens where it adds special ones, so the place of "
            "its end token is unknown. Use `cls` or `mean`."
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
    """The number of tokens that the model has positions for and the tokenizer allows.

    T5 and XLNet have relative positions alone: what their tokenizers allow.
    """
    config: Any = model.config
    allowed = int(min(tokenizer.model_max_length, UNBOUNDED))
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 0:
        return allowed
    skipped = config.pad_token_id + 1 if config.model_type in COUNT_FROM_PADDING else 0
    return min(allowed, int(positions) - skipped)


def check_encoder(location: Location) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Refuse a bare encoder whose checkpoint leaves weights at random; its missing and unused weights.

    Its pooler may be missing. Its tokenizer's vocabulary must be there.
    """
    folder = downloaded(location)
    if (folder / folders.ADAPTER_CONFIG).is_file():
        folders.require_tokenizer(folder)
        read_tokenizer(folder)
        return check_encoder(base_of(folder))
    model, report = _loaded(_bare(_configuration(folder)), location, folder, seed=0)
    require_room(folder, model, read_tokenizer(folder))
    return report.missing, report.unused


def _loaded(
    auto: Any, location: Location, folder: Path, *, seed: int, **more: Any
) -> tuple[Any, _LoadReport]:
    if not folders.weights(folder):
        raise BadInput(
            f"The model {location.source!r} cannot be loaded: no weights in it (model.safetensors). Give a folder "
            "with config.json and safetensors weights, or a hub id that can be reached."
        )
    refused = "transformers cannot load the model"
    with quiet(), torch.random.fork_rng(devices=[]), folders.library_answers(folder, refused):
        torch.manual_seed(seed)
        model, info = auto.from_pretrained(
            str(folder),
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            return_dict=True,  # a config.json that asks for tuples has the same numbers in them
            **more,
        )
    missing, unused = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    # (name, shape in the checkpoint, shape in the model)
    resized = sorted(str(entry[0]) for entry in info["mismatched_keys"])
    is_scorer = auto is transformers.AutoModelForSequenceClassification
    encoder = f"{model.base_model_prefix}." if is_scorer else ""
    inside = resized if not is_scorer else [n for n in resized if n.startswith(encoder)]
    left = [name for name in missing if not _is_head(name, encoder)] + inside
    if left:
        raise _at_random(location, left)
    return model, _LoadReport(tuple(missing), tuple(unused), tuple(resized))


def _torn(model: Any, report: _LoadReport) -> tuple[str, ...]:
    """The missing weights, if the checkpoint has some of the head's last layer: such a head was trained with the rest."""
    last = f"{_head(model)}."
    names = {name for name, _ in model.named_parameters() if name.startswith(last)}
    return report.missing if names - {*report.missing} else ()


def _at_random(location: Location, left: Sequence[str]) -> BadInput:
    return BadInput(
        f"The model {location.source!r} would be left partly at random: {counted(len(left), 'weight is', 'weights are')} "
        f"missing or of another shape (first: {left[0]}). Give a checkpoint of the whole encoder."
    )


def _is_head(name: str, encoder: str) -> bool:
    inside = name.removeprefix(encoder) if name.startswith(encoder) else None
    return inside is None or inside.startswith("pooler.")
