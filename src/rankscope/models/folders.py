"""What a model's folder must hold, read strictly before any library sees it. Loads no torch.

transformers, sentence-transformers and PEFT answer a damaged folder with whatever fails first, and
make up what is missing: weights, a vocabulary. So every file that they read is read here first: JSON
of the right form, safetensors whose header agrees with the file, no pickle, a tokenizer. What a
library still refuses is answered by `library_answers`, which names the folder and what was said.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rankscope.core.errors import BadInput, RankscopeError

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
"""Where sentence-transformers keeps how a transformer is called; the first there is counts."""
JSON_FILES = (
    "config.json", CARD, *TRANSFORMER_CONFIGS, ADAPTER_CONFIG, INDEX, "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "generation_config.json", "router_config.json", "processor_config.json",
    "preprocessor_config.json", "chat_template.json", "artifact.metadata",
)  # fmt: skip
"""The JSON files that the libraries read: an object each. `modules.json` alone is a list."""
MAY_BE_EMPTY = frozenset({"special_tokens_map.json", "added_tokens.json", "generation_config.json"})
"""Those that may say nothing."""
MARKS = {
    "tokenizer_config.json": frozenset(
        {"tokenizer_class", "model_max_length", "max_len", "do_lower_case", "added_tokens_decoder",
         "unk_token", "pad_token", "eos_token", "bos_token", "add_prefix_space"}
    ),
    CARD: frozenset({"__version__", "prompts", "model_type", "similarity_fn_name", "default_prompt_name"}),
    ADAPTER_CONFIG: frozenset({"peft_type"}),
}  # fmt: skip
"""Fields of which such a file has one at least; without any it is another file under its name."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".h5", ".msgpack")
"""Ends of names of pickles and other frameworks' weights."""
LEFT_BY_TRAINING = frozenset({"training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt"})
"""Pickles that transformers' trainer leaves beside a model, and that no loader looks at."""
VOCABULARIES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "vocab.bpe", "dict.txt", "bpe.codes", "tekken.json",
    "tokenizer.model", "spiece.model", "spm.model", "sentencepiece.model", "sentencepiece.bpe.model",
    "source.spm", "spm_char.model", "prophetnet.tokenizer", "vocab-src.json",
)  # fmt: skip
"""Files that a tokenizer's vocabulary is read from, one of which there must be."""
WITHOUT_VOCABULARY = frozenset({"byt5", "canine", "perceiver"})
"""Model types whose tokens are bytes or characters."""
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8,
    "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8,
}  # fmt: skip
"""The types of safetensors, and the bytes of a number of each."""
LONGEST_HEADER = 100_000_000
"""Bytes; what safetensors itself refuses to pass."""
AT_LEAST = 2**24
"""A size up to this is never called too large: positions and ropes need no weights."""

Form = Literal["text", "texts", "object", "size", "count", "number", "switch", "side", "id", "list"]
FORMS: dict[Form, str] = {
    "text": "a text",
    "texts": "a list of texts",
    "object": "an object",
    "size": "a whole number above 0",
    "count": "a whole number of 0 or more",
    "number": "a number",
    "switch": "true or false",
    "side": '"left" or "right"',
    "id": "a token's id, which is a whole number of 0 or more",
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
    "weight_map": "object",
}
"""The form of fields at the top of a configuration file, whichever it is."""
ELSEWHERE = {("adapter_config.json", "bias"), ("tokenizer.json", "model")}
"""Fields of a file that have another meaning there."""


# -- what a library says --------------------------------------------------------------------------


@contextmanager
def library_answers(where: Path | str, what: str) -> Iterator[None]:
    """Inside the block a library reads a model's files; what it cannot read ends in one sentence.

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
    """What a library's error says, in one line of at most 240 characters."""
    words = " ".join(str(error).split()) or "no word"
    short = words if len(words) <= 240 else f"{words[:237]}..."
    known = isinstance(error, OSError | ValueError | RuntimeError) and not isinstance(
        error, UnicodeError | RecursionError
    )
    return short if known else f"{type(error).__name__}: {short}"


# -- JSON -----------------------------------------------------------------------------------------


def declared(path: Path) -> dict[str, Any]:
    """A JSON file's object, its known fields of the right forms; {} where there is no such file."""
    if not path.is_file():
        return {}
    found = _parsed(path)
    if not isinstance(found, dict):
        raise BadInput(f"{path}: {_kind(found)} where an object ({{...}}) belongs. {AGAIN}")
    for name, value in found.items():
        form = FIELDS.get(name)
        if form is None or value is None or (path.name, name) in ELSEWHERE:
            continue
        if not _is(value, form):
            raise BadInput(
                f"{path}: {name!r} is {_short(value)}, and {FORMS[form]} belongs there. Correct it."
            )
    return found


BASE_RECORD = "base.json"
"""Where an adapter's folder says which model it was made for, and what that one's bytes are."""


def base_record(folder: Path) -> dict[str, Any] | None:
    """What an adapter's folder records of the model it was made for: path and sha256; None without a record."""
    path = folder / BASE_RECORD
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and {"path": str, "sha256": dict} == {
        name: type(value) for name, value in found.items()
    }:
        return found
    raise BadInput(
        f"{path}: it does not say where the adapter's base is, and what its bytes are. Put the file back as "
        "it was written, or train the adapter again."
    )


AGAIN = "Save or download the model's folder again."


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}). {AGAIN}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: no text in UTF-8 (byte {error.start}). {AGAIN}") from error
    except json.JSONDecodeError as error:
        what = "an empty file" if not error.doc.strip() else f"no JSON ({error.msg})"
        raise BadInput(f"{path}, line {error.lineno}: {what}. {AGAIN}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; nests of lists
        raise BadInput(f"{path}: no JSON that can be read ({said_by(error)}). {AGAIN}") from error


def _is(value: Any, form: Form) -> bool:
    return FITS[form](value)


def _is_whole(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, float) and math.isfinite(value))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


FITS: dict[Form, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "texts": _is_texts,
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "switch": lambda value: isinstance(value, bool),
    "side": lambda value: value in ("left", "right"),
    "number": _is_number,
    "size": lambda value: _is_whole(value, 1),
    "count": _is_whole,
    "id": _is_whole,
}


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


WITHOUT_FILES = frozenset({"Normalize"})
"""Modules whose folder is empty, and so is lost where only files are kept."""


class Module(NamedTuple):
    """One of the parts that sentence-transformers puts a text through."""

    type: str
    """The name of its class, without where that is."""
    folder: Path


def modules(folder: Path) -> tuple[Module, ...]:
    """What `modules.json` lists, in order; () where there is none. Only sentence-transformers' own classes."""
    path = folder / MODULES
    if not path.is_file():
        return ()
    found = _parsed(path)
    if not isinstance(found, list) or not found:
        what = "an empty list" if found == [] else _kind(found)
        raise BadInput(f"{path}: {what} where a list of modules belongs. {AGAIN}")
    return tuple(_module(path, number, each) for number, each in enumerate(found))


def _module(path: Path, number: int, entry: Any) -> Module:
    place = f"{path}, entry {number}"
    if not isinstance(entry, dict):
        raise BadInput(f"{place}: {_kind(entry)} where an object belongs. {AGAIN}")
    for name in ("path", "type", "name"):
        if not isinstance(entry.get(name), str):
            what = f"{_short(entry[name])} as {name!r}" if name in entry else f"no {name!r}"
            raise BadInput(f"{place}: {what}, and a text belongs there. {AGAIN}")
    inside = Path(entry["path"])
    if inside.is_absolute() or ".." in inside.parts:
        raise BadInput(f"{place}: the path {entry['path']!r} leaves the model's folder. {AGAIN}")
    kind = entry["type"].rsplit(".", 1)[-1]
    if kind not in WITHOUT_FILES and not (path.parent / inside).is_dir():
        raise BadInput(f"{place}: there is no folder {path.parent / inside}. {AGAIN}")
    if not entry["type"].startswith(("sentence_transformers.", "pylate.")):
        raise BadInput(
            f"{place}: the class {entry['type']!r} is none of sentence-transformers' own, and no code that "
            "comes with a model is run. Use a model without code of its own."
        )
    return Module(kind, path.parent / inside)


def routes(folder: Path) -> dict[str, list[Module]]:
    """By side (`query`, `document`), the modules that a Router in the folder sends its texts through."""
    path = folder / "router_config.json"
    told = declared(path)
    types, structure = told.get("types") or {}, told.get("structure") or {}
    found = {}
    for side, names in structure.items():
        if not (isinstance(names, list) and names and all(isinstance(n, str) for n in names)):
            raise BadInput(f"{path}: the route {side!r} is {_short(names)}. {AGAIN}")
        for name in names:
            if Path(name).is_absolute() or ".." in Path(name).parts or not (folder / name).is_dir():
                raise BadInput(f"{path}: the route {side!r} has no folder {folder / name}. {AGAIN}")
        kinds = [str(types.get(name, "")).rsplit(".", 1)[-1] for name in names]
        found[side] = [Module(kind, folder / n) for kind, n in zip(kinds, names, strict=True)]
    return found


# -- safetensors ----------------------------------------------------------------------------------


class Stored(NamedTuple):
    """A tensor as a file's header has it."""

    dtype: str
    shape: tuple[int, ...]


def header(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file by name; BadInput where header and file do not agree.

    Each tensor has the bytes that its type and shape ask for, and together they fill the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        n = int.from_bytes(start, "little")
        if len(start) < 8 or n > min(size - 8, LONGEST_HEADER):
            what = (
                "an empty file" if size == 0 else f"{size} bytes, and its header asks for {8 + n}"
            )
            raise _damaged(path, what)
        try:
            told = json.loads(file.read(n).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f"a header that is no JSON ({said_by(error)})") from error
    if not isinstance(told, dict):
        raise _damaged(path, f"a header that is {_kind(told)}")
    told.pop("__metadata__", None)
    spans = sorted(_span(path, name, entry) for name, entry in told.items())
    end = 0
    for start_of, end_of, name in spans:
        if start_of != end:
            raise _damaged(path, f"the weight {name!r} begins at byte {start_of}, not {end}")
        end = end_of
    if end != size - 8 - n:
        raise _damaged(path, f"{size} bytes, and its header asks for {8 + n + end}")
    return {name: Stored(entry["dtype"], tuple(entry["shape"])) for name, entry in told.items()}


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    known = isinstance(entry, dict) and entry.get("dtype") in BYTES
    shape, span = (entry.get("shape"), entry.get("data_offsets")) if known else (None, None)
    whole = all(
        isinstance(given, list) and all(_is(number, "count") for number in given)
        for given in (shape, span)
    )
    if not whole or len(span) != 2:  # type: ignore[arg-type]
        raise _damaged(path, f"the weight {name!r} has no known type, shape and place")
    begin, end = span  # type: ignore[misc]
    if end - begin != math.prod(shape) * BYTES[entry["dtype"]]:  # type: ignore[arg-type]
        raise _damaged(path, f"the weight {name!r} has other bytes than its type and shape ask for")
    return begin, end, name


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"{path}: no whole safetensors file ({what}). {AGAIN}")


def weights(folder: Path) -> dict[str, Stored]:
    """The tensors of a folder's whole model, of one file or of the files its index names; {} without any."""
    one, index = folder / "model.safetensors", folder / INDEX
    if one.is_file() or not index.is_file():
        return header(one) if one.is_file() else {}
    names = declared(index).get("weight_map")
    if not names or not all(isinstance(name, str) for name in names.values()):
        raise BadInput(f"{index}: no `weight_map` from weights to files. {AGAIN}")
    found: dict[str, Stored] = {}
    for name in dict.fromkeys(names.values()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BadInput(f"{index}: there is no file {path}. {AGAIN}")
        found |= header(path)
    lost = sorted(names.keys() - found.keys())
    if lost:
        raise BadInput(f"{index}: {len(lost)} weights are in no file (first: {lost[0]}). {AGAIN}")
    return found


# -- the whole folder -----------------------------------------------------------------------------


def checked(folder: Path) -> None:
    """Refuse a model's folder whose files no loader should see; BadInput names the first such file."""
    within = _read_by_loaders(folder)
    for inside in within:
        refuse_pickles(inside)
        tokens = inside / "tokenizer.json"
        if tokens.is_file() and not isinstance(declared(tokens).get("model"), dict):
            raise BadInput(f"{tokens}: no tokenizer in it (no object `model`). {AGAIN}")
        for name, marks in MARKS.items():
            if (inside / name).is_file() and not marks & declared(inside / name).keys():
                raise BadInput(
                    f"{inside / name}: not the content that belongs there (it has none of "
                    f"{', '.join(sorted(marks))}). {AGAIN}"
                )
        for name in JSON_FILES:
            if (
                not declared(inside / name)
                and (inside / name).is_file()
                and name not in MAY_BE_EMPTY
            ):
                raise BadInput(f"{inside / name}: an object with nothing in it. {AGAIN}")
        for path in sorted(inside.glob("*.safetensors")):
            header(path)
        _check_sizes(inside)
    _check_card(folder)
    _require_siblings(folder)
    for inside in within:
        if (inside / "config.json").is_file() and "model_type" in declared(inside / "config.json"):
            require_tokenizer(inside)


def _read_by_loaders(folder: Path) -> list[Path]:
    """The folder and those inside it that a loader may look into."""
    found = [folder]
    for module in modules(folder):
        found.append(module.folder)
        for behind in routes(module.folder).values():
            found += [each.folder for each in behind]
    return [each for each in dict.fromkeys(found) if each.is_dir()]


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder where a loader would find a pickle and no safetensors in its place.

    One beside the safetensors it was made from is never opened.
    """
    adapter, whole = (folder / ADAPTER_WEIGHTS).is_file(), _has_whole_weights(folder)
    for path in sorted(folder.iterdir()):
        if not path.name.endswith(PICKLES) or path.name in LEFT_BY_TRAINING:
            continue
        if path.name.startswith("rng_state") or (path.name != "adapter_model.bin" and whole):
            continue
        if adapter and (path.name == "adapter_model.bin" or not whole):
            continue
        raise BadInput(
            f"{path}: a pickle, which cannot be loaded, since reading one can run code. Load the model where it "
            "is trusted and save its weights as safetensors (`save_pretrained`), then delete this file."
        )
    named = declared(folder / "config.json").get("transformers_weights")
    if named is not None:
        raise BadInput(
            f"{folder / 'config.json'}: `transformers_weights` is {_short(named)}, and weights are read from "
            "model.safetensors alone. Rename the file if it is of safetensors, and drop the field."
        )


def _has_whole_weights(folder: Path) -> bool:
    return (folder / "model.safetensors").is_file() or (folder / INDEX).is_file()


def require_tokenizer(folder: Path) -> None:
    """Refuse a folder without a tokenizer's vocabulary: transformers makes up an empty one."""
    if has_tokenizer(folder):
        return
    if declared(folder / "config.json").get("model_type") in WITHOUT_VOCABULARY:
        return
    raise BadInput(
        f"{folder}: no tokenizer in it (no tokenizer.json, vocab.txt or the like), and a made-up one would read "
        "every word as unknown. Save the model's own tokenizer there (`tokenizer.save_pretrained`)."
    )


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a file that a tokenizer's vocabulary is read from."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def _check_sizes(folder: Path) -> None:
    """Refuse sizes that no weights here can fill: a library would try to allocate them."""
    config, stored = declared(folder / "config.json"), weights(folder)
    if not stored:
        return
    total = sum(math.prod(each.shape) for each in stored.values())
    for name, value in _numbers(config):
        if value > max(total, AT_LEAST) or ("layer" in name and value > max(len(stored), 1_000)):
            raise BadInput(
                f"{folder / 'config.json'}: {name!r} is {value}, and the weights beside it are {total} numbers in "
                f"{len(stored)} tensors. Correct it."
            )
    for name, each in stored.items():
        if each.dtype[0] in "IUBC" and each.dtype != "BF16" and name.endswith((".weight", ".bias")):
            raise BadInput(
                f"{folder}: the weight {name!r} is stored as {each.dtype}, not as floating-point numbers; "
                "quantised models are not supported. Save it as float32, float16 or bfloat16."
            )


def _numbers(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The sizes of a configuration and of those inside it."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif (name in SIZES or "num_" in name) and _is(value, "size"):
            yield name, value


def _require_siblings(folder: Path) -> None:
    """Refuse a folder that has lost a file which whatever wrote the others always writes.

    A library goes on without: with no prompt, another similarity, another length.
    """
    card, listed = declared(folder / CARD), modules(folder)
    whole = card.get("model_type") in {"SentenceTransformer", "MultiVectorEncoder", "SparseEncoder"}
    if not listed and (
        whole or (card and any((folder / n).is_file() for n in TRANSFORMER_CONFIGS))
    ):
        raise _lost(folder / MODULES, CARD)
    for module in listed:
        if card.get("model_type") == "MultiVectorEncoder" and module.type != "Transformer":
            _require(module.folder / "config.json", MODULES)
        settings = [n for n in TRANSFORMER_CONFIGS if (module.folder / n).is_file()]
        if module.type != "Transformer":
            continue
        if not settings and "model_type" in card:
            raise _lost(module.folder / TRANSFORMER_CONFIGS[0], CARD)
        new = settings and "modality_config" in declared(module.folder / settings[0])
        if new and not (folder / CARD).is_file():
            raise _lost(folder / CARD, settings[0])
        if (module.folder / "tokenizer.json").is_file():
            _require(module.folder / "tokenizer_config.json", "tokenizer.json")
    if (folder / "config.json").is_file() and (folder / "tokenizer.json").is_file():
        _require(folder / "tokenizer_config.json", "tokenizer.json")


def _require(path: Path, beside: str) -> None:
    if not path.is_file():
        raise _lost(path, beside)


def _lost(path: Path, beside: str) -> BadInput:
    return BadInput(
        f"{path}: this file is missing; what wrote {beside} writes it too, and what it says would be guessed. {AGAIN}"
    )


def _check_card(folder: Path) -> None:
    """Refuse prompts that are no texts, and a default that is none of them."""
    path, card = folder / CARD, declared(folder / CARD)
    prompts = card.get("prompts") or {}
    for name, text in prompts.items():
        if not isinstance(text, str | None):
            raise BadInput(
                f"{path}: the prompt {name!r} is {_short(text)}, and no text. Correct it."
            )
    default = card.get("default_prompt_name")
    if default is not None and default not in {*prompts, "query", "document"}:
        raise BadInput(
            f"{path}: `default_prompt_name` is {default!r}, and the prompts are "
            f"{', '.join(sorted(prompts)) or 'none'}. Correct it."
        )


# -- what a cross-encoder's folder says -----------------------------------------------------------

MONOTONE = frozenset({"Identity", "Sigmoid", "Tanh", "Softplus", "LogSigmoid", "Softsign", "ELU", "LeakyReLU"})  # fmt: skip
"""Activations that keep the order of logits, so that logits can stand for what they give."""
UNDERSTOOD = frozenset(
    {"transformer_task", "modality_config", "module_output_name", "max_seq_length", "do_lower_case",
     "unpad_inputs", "query_length", "document_length", "query_expansion"}
)  # fmt: skip
"""What `sentence_bert_config.json` may say of a cross-encoder."""
BY_LOGITS = {"method": "forward", "method_output_name": "logits"}


@dataclass(frozen=True)
class ScorerCard:
    """What sentence-transformers reads of a cross-encoder's folder beside its weights."""

    encoder: Path
    """Where the transformer is."""
    prompt: str = ""
    """Text before every query."""
    max_length: int | None = None
    lowercase: bool = False
    left_out: tuple[str, ...] = ()
    """The names of prompts that no text gets."""


def scorer_card(folder: Path) -> ScorerCard:
    """What a cross-encoder's folder says beside its weights; what is not done here is refused by name.

    As in sentence-transformers, prompts and settings count only in a folder with `modules.json` that
    calls itself a CrossEncoder.
    """
    listed = modules(folder)
    card = declared(folder / CARD) if listed else {}
    if card.get("model_type") != "CrossEncoder":
        _check_activation(folder / "config.json", _activation_in(folder / "config.json"))
        unread = declared(folder / CARD).get("prompts") or {}
        return ScorerCard(folder, left_out=_with_text(unread))
    kinds = [each.type for each in listed]
    if kinds != ["Transformer"]:
        raise BadInput(
            f"{folder / MODULES}: a cross-encoder of the modules {', '.join(kinds)}; only one whose transformer "
            "gives the score itself is supported (a ...ForSequenceClassification model). Give such a one."
        )
    encoder = listed[0].folder
    path = next((encoder / name for name in TRANSFORMER_CONFIGS if declared(encoder / name)), None)
    told = declared(path) if path else {}
    if path is not None:
        _check_settings(path, told)
    written = card.get("activation_fn") or _activation_in(encoder / "config.json")
    _check_activation(folder / CARD, written)
    prompts, default = card.get("prompts") or {}, card.get("default_prompt_name")
    prompt = (prompts.get(default) or "") if default else ""
    return ScorerCard(
        encoder,
        prompt=prompt,
        left_out=_with_text({n: t for n, t in prompts.items() if t != prompt}),
        max_length=told.get("max_seq_length"),
        lowercase=bool(told.get("do_lower_case")),
    )


def _with_text(prompts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(name for name, text in prompts.items() if text))


def _check_settings(path: Path, told: Mapping[str, Any]) -> None:
    other = sorted(name for name in told.keys() - UNDERSTOOD if told[name])
    text = (told.get("modality_config") or {"text": BY_LOGITS}).get("text")
    task = told.get("transformer_task", "feature-extraction")
    if not other and text != BY_LOGITS:
        other = ["modality_config"]
    if not other and task != "sequence-classification":
        other = ["transformer_task"]
    if other:
        raise BadInput(
            f"{path}: {', '.join(map(repr, other))} of a cross-encoder is not supported: scores would be others than "
            "sentence-transformers'. Save the model without it."
        )


def _activation_in(path: Path) -> Any:
    config = declared(path)
    inside = config.get("sentence_transformers") or {}
    return inside.get("activation_fn") or config.get("sbert_ce_default_activation_function")


def _check_activation(path: Path, written: Any) -> None:
    """Refuse one that does not keep the order; sentence-transformers takes a sigmoid for code of others."""
    if not isinstance(written, str | None):
        raise BadInput(
            f"{path}: the activation function is {_short(written)}, and no text. Correct it."
        )
    if not written or not written.startswith("torch."):
        return
    if written.rsplit(".", 1)[-1] not in MONOTONE:
        raise BadInput(
            f"{path}: the activation {written!r} does not keep the order of scores, which are logits here. Use one of "
            f"{', '.join(sorted(MONOTONE))}."
        )


def names_of_labels(config: Mapping[str, Any], n: int) -> list[str]:
    """What a configuration calls the labels of its head."""
    told = config.get("id2label") or {}
    return [str(told.get(k, told.get(str(k), f"LABEL_{k}"))) for k in range(n)]
