"""The settings that sentence-transformers' modules may have: fields known here, of the right forms, and no others.

A module that is given the settings of another one runs all the same: it reads the fields it knows, ignores the rest
and makes up the missing ones. A Normalize whose file names no input looks for vectors that are not there and
leaves the texts' own as they are. Loads no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.models.files.declared import (
    CARD,
    FORMS,
    Form,
    Module,
    declared,
    fits,
    in_short,
    modules,
    routes,
)

TOKENS, TEXT = "token_embeddings", "sentence_embedding"
"""sentence-transformers' names of the vectors of tokens, and of the one that a pooling makes of them."""
POOLINGS = ("cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")  # fmt: skip
FLAGS = tuple(f"pooling_mode_{name}" for name in POOLINGS)
"""Fields that named a pooling until sentence-transformers 5.4: one switch for each mode."""
STREAMS: dict[str, Form] = dict.fromkeys(("module_input_name", "module_output_name"), "text")
SETTINGS: dict[str, Mapping[str, Form]] = {
    "Pooling": {
        "embedding_dimension": "size", "word_embedding_dimension": "size", "pooling_mode": "names",
        "include_prompt": "switch", **dict.fromkeys(FLAGS, "switch"),
    },
    "Dense": {
        "in_features": "size", "out_features": "size", "bias": "switch", "activation_function": "text",
        "use_residual": "switch", **STREAMS,
    },
    "Normalize": STREAMS,
    "LayerNorm": {"dimension": "size"},
    "Dropout": {"dropout": "number"},
    "WeightedLayerPooling": {
        "embedding_dimension": "size", "word_embedding_dimension": "size", "layer_start": "count",
        "num_hidden_layers": "size",
    },
    "MultiVectorMask": {
        "skiplist_words": "texts", "skiplist_tasks": "names", "keep_only_token_ids": "ids",
    },
    "HierarchicalTokenPooling": {
        "pool_factor": "number", "num_protected_tokens": "count", "normalize_embeddings": "switch",
        "tasks": "names",
    },
}  # fmt: skip
"""The fields of a module's config.json and their forms, by its class; loading refuses other classes."""
MAY_BE_NULL = frozenset(
    {"module_output_name", "skiplist_words", "skiplist_tasks", "keep_only_token_ids", "tasks"}
)
"""Fields in which null means the same as leaving them out; in other fields a library takes null for a value."""
SIDES = frozenset({"query", "document"})
OTHERS = frozenset({"CrossEncoder", "SparseEncoder"})
"""Model types of folders whose modules pass on something else."""


def check_module_settings(folder: Path) -> None:
    """Refuse a folder in which a module has settings that are not its own, or reads vectors that no module makes.

    Cross-encoders and sparse encoders of several modules are not supported; loading them says so.
    """
    if declared(folder / CARD).get("model_type") in OTHERS:
        return
    for chain in chains(folder):
        is_pooled = chain[0].type != "Transformer"  # static embeddings are of whole texts
        for module in chain:
            if module.type in SETTINGS:
                _check(module, is_pooled=is_pooled)
            is_pooled = is_pooled or module.type == "Pooling"


def chains(folder: Path) -> Iterator[Sequence[Module]]:
    """The modules that a text goes through, in order: one chain, or one for each route of a Router."""
    listed = modules(folder)
    if not listed:
        return
    for place, module in enumerate(listed):
        branches = routes(module.folder)
        if branches:
            yield from ([*listed[:place], *way, *listed[place + 1 :]] for way in branches.values())
            return
    yield listed


def _check(module: Module, *, is_pooled: bool) -> None:
    path, settings = module.folder / "config.json", declared(module.folder / "config.json")
    known = SETTINGS[module.type]
    for name, value in settings.items():
        if name not in known:
            raise BadInput(
                f"{path}: {name!r} is no setting of a {module.type}, whose settings are {', '.join(known)}. Put the "
                "module's own file there, or drop the field if another version wrote it and it changes nothing."
            )
        if value is None and name in MAY_BE_NULL:
            continue
        if not fits(value, known[name]):
            raise BadInput(
                f"{path}: {name!r} is {in_short(value)}, and {FORMS[known[name]]} belongs there. Correct it."
            )
    _check_streams(path, settings, known, TEXT if is_pooled else TOKENS)
    _check_meaning(path, settings)


def _check_streams(
    path: Path, settings: Mapping[str, Any], known: Mapping[str, Form], stream: str
) -> None:
    """Refuse a module that reads other vectors than those there are, or writes some that nothing reads."""
    if "module_input_name" not in known:
        return
    pylate = stream == TOKENS and "in_features" in settings  # its Dense names no input
    given = settings.get("module_input_name", stream if pylate else TEXT)
    written = settings.get("module_output_name")
    for name, value in (("module_input_name", given), ("module_output_name", written or given)):
        if value != stream:
            default = "" if settings.get(name) else " (what it is where the file gives none)"
            what = "after a pooling" if stream == TEXT else "where nothing is pooled"
            raise BadInput(
                f"{path}: {name!r} is {value!r}{default}, and {what} the vectors are {stream!r}, which the module would "
                "leave as they are. Put the module's own file there, or correct it."
            )


def _check_meaning(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a library replaces by others without an error."""
    flags = [name for name in FLAGS if name in settings]
    if flags and "pooling_mode" not in settings and not any(settings[name] for name in flags):
        raise BadInput(
            f"{path}: none of its poolings is true. Switch on the one that it was tuned with."
        )
    activation = settings.get("activation_function", "torch.")
    if not activation.startswith("torch."):
        raise BadInput(
            f"{path}: the activation {activation!r} is no class of torch, and another would be taken for it. Name one, "
            "as torch.nn.modules.activation.Tanh."
        )
    for name in ("tasks", "skiplist_tasks"):
        named = settings.get(name) or []
        other = {named} - SIDES if isinstance(named, str) else {*named} - SIDES
        if other:
            raise BadInput(
                f"{path}: {name!r} is {in_short(named)}, and texts are `query` or `document`. Correct it."
            )
