"""The check of a model's folder before a library opens it. Loads no torch.

transformers, sentence-transformers and PEFT answer a damaged folder with whatever fails first, and
make up what is missing: weights, a vocabulary. So every file that they read is read here first: JSON
of the right form, safetensors whose header agrees with the file, no pickle, a tokenizer. What a
library still refuses goes through `library_answers`, which names the folder and the library's message.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.input_files import what_it_is
from rankscope.models.files.declared import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    AGAIN,
    BASE_RECORD,
    CARD,
    INDEX,
    MODULES,
    SIZES,
    TRANSFORMER_CONFIGS,
    Module,
    base_record,
    declared,
    fits,
    in_short,
    library_answers,
    modules,
    routes,
    said_by,
)
from rankscope.models.files.module_settings import check_module_settings
from rankscope.models.files.scorer_card import ScorerCard, names_of_labels, scorer_card
from rankscope.models.files.tensors import Stored, header, weights

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "AGAIN",
    "BASE_RECORD",
    "CARD",
    "INDEX",
    "MODULES",
    "TRANSFORMER_CONFIGS",
    "Module",
    "ScorerCard",
    "Stored",
    "base_record",
    "checked",
    "declared",
    "has_tokenizer",
    "header",
    "library_answers",
    "modules",
    "names_of_labels",
    "refuse_pickles",
    "require_tokenizer",
    "routes",
    "said_by",
    "scorer_card",
    "weights",
]

JSON_FILES = (
    "config.json", CARD, *TRANSFORMER_CONFIGS, ADAPTER_CONFIG, INDEX, "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "generation_config.json", "router_config.json", "processor_config.json",
    "preprocessor_config.json", "chat_template.json", "artifact.metadata",
)  # fmt: skip
"""The JSON files that the libraries read: an object each. `modules.json` alone is a list."""
MAY_BE_EMPTY = frozenset({"special_tokens_map.json", "added_tokens.json", "generation_config.json"})
"""JSON files that may be an empty object."""
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
AT_LEAST = 2**24
"""A size up to this is never called too large: positions and ropes need no weights."""


def checked(folder: Path) -> None:
    """Refuse a model's folder whose files no loader should see; BadInput names the first such file."""
    within = _read_by_loaders(folder)
    for inside in within:
        _require_files(inside)
        refuse_pickles(inside)
        _check_tokenizer(inside / "tokenizer.json")
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
    check_module_settings(folder)
    for inside in within:
        if (inside / "config.json").is_file() and "model_type" in declared(inside / "config.json"):
            require_tokenizer(inside)


def _require_files(folder: Path) -> None:
    """Refuse a pipe, a socket, a device, a link to nowhere or a folder in a file's place: a library takes it for missing.

    What no library reads may be anything: a folder of links has some to files that were never fetched.
    """
    for path in sorted(folder.iterdir()):
        is_read = path.name in VOCABULARIES or path.suffix in {".json", ".safetensors"}
        if is_read and not path.is_file():
            kind = what_it_is(path.stat().st_mode) if path.exists() else "a link to nowhere"
            raise BadInput(f"{path}: it is {kind}, and a file belongs there. {AGAIN}")


def _check_tokenizer(path: Path) -> None:
    """Refuse a file without a tokenizer, and a vocabulary that gives two tokens one id: saved, it loses one."""
    model = declared(path).get("model")
    if path.is_file() and not isinstance(model, dict):
        raise BadInput(f"{path}: no tokenizer in it (no object `model`). {AGAIN}")
    vocabulary = (model or {}).get("vocab")
    if not isinstance(vocabulary, dict) or not all(fits(n, "id") for n in vocabulary.values()):
        return  # pieces with scores, or what the library refuses
    if len(set(vocabulary.values())) < len(vocabulary):
        known: dict[int, str] = {}
        token, number = next(
            (token, n) for token, n in vocabulary.items() if known.setdefault(n, token) != token
        )
        raise BadInput(
            f"{path}: the tokens {known[number]!r} and {token!r} have one id, {number}, so that one would be read as "
            f"the other. {AGAIN}"
        )


def _read_by_loaders(folder: Path) -> list[Path]:
    """The folder and those inside it that a loader may look into."""
    candidates = [folder]
    for module in modules(folder):
        candidates.append(module.folder)
        for behind in routes(module.folder).values():
            candidates += [part.folder for part in behind]
    return [part for part in dict.fromkeys(candidates) if part.is_dir()]


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
            f"{folder / 'config.json'}: `transformers_weights` is {in_short(named)}, and weights are read from "
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
    total = sum(math.prod(tensor.shape) for tensor in stored.values())
    for name, value in _numbers(config):
        if value > max(total, AT_LEAST) or ("layer" in name and value > max(len(stored), 1_000)):
            raise BadInput(
                f"{folder / 'config.json'}: {name!r} is {value}, and the weights beside it are {total} numbers in "
                f"{len(stored)} tensors. Correct it."
            )
    for name, tensor in stored.items():
        if (
            tensor.dtype[0] in "IUBC"
            and tensor.dtype != "BF16"
            and name.endswith((".weight", ".bias"))
        ):
            raise BadInput(
                f"{folder}: the weight {name!r} is stored as {tensor.dtype}, not as floating-point numbers; "
                "quantised models are not supported. Save it as float32, float16 or bfloat16."
            )


def _numbers(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The sizes of a configuration and of those inside it."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif (name in SIZES or "num_" in name) and fits(value, "size"):
            yield name, value


def _require_siblings(folder: Path) -> None:
    """Refuse a folder that has lost a file which whatever wrote the others always writes.

    A library would go on without it: with no prompt, another similarity, another length.
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
        f"{path}: this file is missing; what wrote {beside} writes it too, and its settings would be guessed. {AGAIN}"
    )


def _check_card(folder: Path) -> None:
    """Refuse prompts that are no texts, and a default that is none of them."""
    path, card = folder / CARD, declared(folder / CARD)
    prompts = card.get("prompts", {})
    if prompts is None:
        raise BadInput(
            f"{path}: `prompts` is null, which sentence-transformers cannot read. Give {{}}."
        )
    for name, text in prompts.items():
        if not isinstance(text, str | None):
            raise BadInput(
                f"{path}: the prompt {name!r} is {in_short(text)}, and no text. Correct it."
            )
    default = card.get("default_prompt_name")
    if default is not None and default not in {*prompts, "query", "document"}:
        raise BadInput(
            f"{path}: `default_prompt_name` is {default!r}, and the prompts are "
            f"{', '.join(sorted(prompts)) or 'none'}. Correct it."
        )
