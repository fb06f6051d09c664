"""The JSON of a model's folder: each file an object whose known fields are of the right forms, or BadInput.

Also the modules that `modules.json` and a Router list, and an adapter's record of its base. Loads no torch.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rankscope.core.errors import BadInput, RankscopeError
from rankscope.core.plain_json import require_whole_characters

CARD = "config_sentence_transformers.json"
MODULES = "modules.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
INDEX = "model.safetensors.index.json"
TRANSFORMER_CONFIGS = (
    "sentence_bert_config.json",
    *(
        f"sentence_{name}_config.json"
        for name in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
    ),
)
"""Files in which sentence-transformers keeps the settings of a transformer; the first that exists counts."""

Form = Literal[
    "text", "texts", "names", "object", "size", "count", "number", "switch", "side", "id", "ids", "list"
]  # fmt: skip
FORMS: dict[Form, str] = {
    "text": "a text",
    "texts": "a list of texts",
    "names": "a text or a list of texts",
    "object": "an object",
    "size": "a whole number above 0",
    "count": "a whole number of 0 or more",
    "number": "a number",
    "switch": "true or false",
    "side": '"left" or "right"',
    "id": "a token's id, which is a whole number of 0 or more",
    "ids": "a list of token ids",
    "list": "a list",
}
SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "embedding_size", "d_model", "d_ff", "d_kv", "d_inner", "num_layers", "num_heads", "n_layer",
    "n_head", "n_embd", "n_positions", "dim", "n_layers", "n_heads", "hidden_dim", "head_dim",
    "num_key_value_heads", "max_position_embeddings", "encoder_layers", "decoder_layers",
    "num_decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim", "encoder_attention_heads",
    "decoder_attention_heads", "moe_intermediate_size", "sliding_window", "local_attention",
    "max_seq_length", "r", "truncate_dim", "query_length", "document_length", "in_features",
    "out_features", "word_embedding_dimension", "embedding_dimension", "num_labels",
)  # fmt: skip
"""Fields of configurations that are sizes wherever they stand; null leaves one out."""
SWITCHES = (
    "is_decoder", "is_encoder_decoder", "do_lower_case", "include_prompt", "bias", "use_rslora", "use_dora",
    "fan_in_fan_out", "lora_bias", "inference_mode", "tie_word_embeddings", "use_cache", "output_attentions",
    "output_hidden_states", "return_dict", "position_biased_input", "attention_bias", "mlp_bias", "qkv_bias",
    "classifier_bias", "norm_bias", "decoder_bias", "clean_up_tokenization_spaces", "add_prefix_space",
    "tokenize_chinese_chars", "strip_accents", "pooling_mode_cls_token", "pooling_mode_mean_tokens",
    "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
)  # fmt: skip
"""Fields that are true or false wherever they stand: a library takes any text or table for true."""
FIELDS: dict[str, Form] = {
    **dict.fromkeys(SIZES, "size"),
    **dict.fromkeys(SWITCHES, "switch"),
    "type_vocab_size": "count",
    "model_type": "text",
    "architectures": "texts",
    "id2label": "object",
    "label2id": "object",
    "pad_token_id": "id",
    "hidden_act": "text",
    "layer_norm_eps": "number",
    "initializer_range": "number",
    "hidden_dropout_prob": "number",
    "attention_probs_dropout_prob": "number",
    "torch_dtype": "text",
    "dtype": "text",
    "quantization_config": "object",
    "sentence_transformers": "object",
    "prompts": "object",
    "default_prompt_name": "text",
    "similarity_fn_name": "text",
    "activation_fn": "text",
    "activation_function": "text",
    "sbert_ce_default_activation_function": "text",
    "transformer_task": "text",
    "modality_config": "object",
    "module_output_name": "text",
    "processing_kwargs": "object",
    "base_model_name_or_path": "text",
    "peft_type": "text",
    "task_type": "text",
    "lora_alpha": "number",
    "lora_dropout": "number",
    "modules_to_save": "list",
    "rank_pattern": "object",
    "alpha_pattern": "object",
    "tokenizer_class": "text",
    "model_max_length": "number",
    "padding_side": "side",
    "truncation_side": "side",
    "model_input_names": "texts",
    "added_tokens_decoder": "object",
    "structure": "object",
    "types": "object",
    "parameters": "object",
    "weight_map": "object",
}
"""The form of fields at the top of a configuration file, whichever it is."""
ELSEWHERE = {("adapter_config.json", "bias"), ("tokenizer.json", "model")}
"""Fields of a file that have another meaning there."""


# -- what a library says --------------------------------------------------------------------------


@contextmanager
def library_answers(where: Path | str, what: str) -> Iterator[None]:
    """Inside the block a library reads a model's files; its errors become one sentence.

    Only a library's own call belongs into the block: an error of ours must stay one. Memory that
    does not suffice is no damage, and passes.
    """
    try:
        yield
    except (RankscopeError, MemoryError):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise
        raise BadInput(
            f"{where}: {what} ({said_by(error)}). Save or download the model's folder again, or correct the "
            "file that is named."
        ) from error


def said_by(error: BaseException) -> str:
    """A library's error message, in one line of at most 240 characters."""
    words = " ".join(str(error).split()) or "no word"
    short = words if len(words) <= 240 else f"{words[:237]}..."
    known = isinstance(error, OSError | ValueError | RuntimeError) and not isinstance(
        error, UnicodeError | RecursionError
    )
    return short if known else f"{type(error).__name__}: {short}"


# -- one file -------------------------------------------------------------------------------------


AGAIN = "Save or download the model's folder again."


def declared(path: Path) -> dict[str, Any]:
    """A JSON file's object, its known fields of the right forms; {} where there is no such file."""
    if not path.is_file():
        return {}
    fields = _parsed(path)
    if not isinstance(fields, dict):
        raise BadInput(f"{path}: {json_kind(fields)} where an object ({{...}}) belongs. {AGAIN}")
    for name, value in fields.items():
        form = FIELDS.get(name)
        if form is None or value is None or (path.name, name) in ELSEWHERE:
            continue
        if not fits(value, form):
            raise BadInput(
                f"{path}: {name!r} is {in_short(value)}, and {FORMS[form]} belongs there. Correct it."
            )
    return fields


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text("utf-8-sig")
        value = json.loads(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}). {AGAIN}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: no text in UTF-8 (byte {error.start}). {AGAIN}") from error
    except json.JSONDecodeError as error:
        what = "an empty file" if not error.doc.strip() else f"no JSON ({error.msg})"
        raise BadInput(f"{path}, line {error.lineno}: {what}. {AGAIN}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; nests of lists
        raise BadInput(f"{path}: no JSON that can be read ({said_by(error)}). {AGAIN}") from error
    require_whole_characters(text, value, str(path))
    return value


def fits(value: Any, form: Form) -> bool:
    """Whether a value read from JSON is of a form."""
    return FITS[form](value)


def _is_whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


FITS: dict[Form, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "texts": _is_texts,
    "names": lambda value: isinstance(value, str) or _is_texts(value),
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "switch": lambda value: isinstance(value, bool),
    "side": lambda value: value in ("left", "right"),
    "number": _is_number,
    "size": lambda value: _is_whole(value, 1),
    "count": _is_whole,
    "id": _is_whole,
    "ids": lambda value: isinstance(value, list) and all(map(_is_whole, value)),
}


def json_kind(value: Any) -> str:
    """The kind of a JSON value, as a message names it."""
    names = {list: "a list", str: "a text", bool: "true or false", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def in_short(value: Any) -> str:
    """A value as JSON has it, in at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- lists of modules, records of bases -----------------------------------------------------------


BASE_RECORD = "base.json"
"""The file in an adapter's folder that names the model it was made for, and the SHA-256 of its files."""


def base_record(folder: Path) -> dict[str, Any] | None:
    """An adapter's record of the model it was made for, path and sha256; None without a record."""
    path = folder / BASE_RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        record = None
    if isinstance(record, dict) and {"path": str, "sha256": dict} == {
        name: type(value) for name, value in record.items()
    }:
        return record
    raise BadInput(
        f"{path}: it does not say which model is the adapter's base, and its files' SHA-256. Put the file back as "
        "it was written, or train the adapter again."
    )


WITHOUT_FILES = frozenset({"Normalize"})
"""Modules whose folder is empty, and so is lost where only files are kept."""


ENTRY = ("idx", "name", "path", "type", "kwargs")
"""The fields of an entry of `modules.json`."""


class Module(NamedTuple):
    """One of the modules that sentence-transformers puts a text through."""

    type: str
    """The name of its class, without where that is."""
    folder: Path


def modules(folder: Path) -> tuple[Module, ...]:
    """The modules that `modules.json` lists, in order; () where there is none. Only sentence-transformers' own classes."""
    path = folder / MODULES
    if not path.is_file():
        return ()
    entries = _parsed(path)
    if not isinstance(entries, list) or not entries:
        what = "an empty list" if entries == [] else json_kind(entries)
        raise BadInput(f"{path}: {what} where a list of modules belongs. {AGAIN}")
    listed = tuple(_module(path, number, entry) for number, entry in enumerate(entries))
    _require_own_names(path, [entry["name"] for entry in entries])
    return listed


def _require_own_names(path: Path, names: Sequence[str]) -> None:
    """Refuse two modules of one name: sentence-transformers would keep only the second."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise BadInput(
            f"{path}: two modules are called {twice[0]!r}, and one would be left out. Give each a name of its own."
        )


def _module(path: Path, number: int, entry: Any) -> Module:
    place = f"{path}, entry {number}"
    if not isinstance(entry, dict):
        raise BadInput(f"{place}: {json_kind(entry)} where an object belongs. {AGAIN}")
    for name in ("path", "type", "name"):
        if not isinstance(entry.get(name), str):
            what = f"{in_short(entry[name])} as {name!r}" if name in entry else f"no {name!r}"
            raise BadInput(f"{place}: {what}, and a text belongs there. {AGAIN}")
    other = sorted(entry.keys() - ENTRY)
    if other:
        raise BadInput(
            f"{place}: {other[0]!r} is no field of a module's entry ({', '.join(ENTRY)}). Drop it."
        )
    inside = Path(entry["path"])
    if inside.is_absolute() or ".." in inside.parts:
        raise BadInput(f"{place}: the path {entry['path']!r} leaves the model's folder. {AGAIN}")
    kind = entry["type"].rsplit(".", 1)[-1]
    if kind not in WITHOUT_FILES and not (path.parent / inside).is_dir():
        raise BadInput(f"{place}: there is no folder {path.parent / inside}. {AGAIN}")
    return Module(_own_class(place, entry["type"]), path.parent / inside)


def _own_class(place: Path | str, written: str) -> str:
    """The name of a class of sentence-transformers' own, without where that is."""
    if not written.startswith(("sentence_transformers.", "pylate.")):
        raise BadInput(
            f"{place}: the class {written!r} is none of sentence-transformers' own, and no code that "
            "comes with a model is run. Use a model without code of its own."
        )
    return written.rsplit(".", 1)[-1]


def routes(folder: Path) -> dict[str, list[Module]]:
    """The modules that a Router in the folder sends texts through, by side (`query`, `document`)."""
    path = folder / "router_config.json"
    config = declared(path)
    types, structure = config.get("types") or {}, config.get("structure") or {}
    if (config.get("parameters") or {}).get("route_mappings"):
        raise BadInput(
            f"{path}: `route_mappings` is not supported: texts take the route of their side. Drop it, and call the "
            "routes `query` and `document`."
        )
    by_side = {}
    for side, names in structure.items():
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            raise BadInput(f"{path}: the route {side!r} is {in_short(names)}. {AGAIN}")
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts or not (folder / name).is_dir():
                raise BadInput(f"{path}: the route {side!r} has no folder {folder / name}. {AGAIN}")
        kinds = [_own_class(path, str(types.get(name, ""))) for name in names]
        by_side[side] = [Module(kind, folder / n) for kind, n in zip(kinds, names, strict=True)]
    return by_side
