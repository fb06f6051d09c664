"""LoRA: small trained matrices beside frozen ones (Hu et al. 2021), by PEFT.

The encoder's linear modules get adapters; whatever lies outside the encoder, and its pooler, is
the scoring head: it is trained whole and saved with the adapter. It has no config.json: with one,
transformers takes it for a whole model and misses the weights.

    adapter_config.json     PEFT's; base_model_name_or_path is where the base was, for its and others' loaders
    base.json               where the base is from this folder, and SHA-256 of each of its files
    base/                   the base itself, where the adapter carries it

Ours goes by base.json, so a results folder can be copied or moved, and a base that was changed is refused.
`PeftModel.from_pretrained(AutoModel....from_pretrained(FOLDER / "base"), FOLDER)` does not look at the path.

What opens the folder alone does: `AutoPeftModel...`, transformers and sentence-transformers take
base_model_name_or_path as it stands, relative to where they were started, or as a hub id. So it is absolute, and leads
to base/ in the folder itself: it holds from any working directory until the folder is moved, and then it leads nowhere
and is refused, never another model or a hub's. A moved one is made a whole model by loading it here and `save`.
"""

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import load_file
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.core.input_files import sha256_of
from rankscope.core.words import counted, of_number
from rankscope.models import location
from rankscope.models.backbone import quiet
from rankscope.models.files import folders
from rankscope.models.files.folders import ADAPTER_WEIGHTS
from rankscope.models.location import Location, downloaded

PREFIX = "base_model.model."
"""The prefix that PEFT puts before the names of a model's weights."""
BASE = "base"
"""The folder, in an adapter's folder, of the model it was made for, if it carries one."""
SENTENCE_TRANSFORMERS: dict[str, Any] = {
    "modules.json": [
        {
            "idx": 0,
            "name": "0",
            "path": "",
            "type": "sentence_transformers.base.modules.transformer.Transformer",
        }
    ],
    "sentence_bert_config.json": {
        "transformer_task": "sequence-classification",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "scores",
    },
    "config_sentence_transformers.json": {
        "model_type": "CrossEncoder",
        "activation_fn": "torch.nn.modules.linear.Identity",
    },
}
"""The files that sentence-transformers writes beside an adapter, and reads."""


PROMPT = "query"
"""The name of a saved cross-encoder's prompt."""


@dataclass(frozen=True)
class LoRA:
    """The size of the adapters, and the modules that get them."""

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    """Ends of module names; if empty, all linear modules of the encoder."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside the block, PEFT and transformers do not warn of each other's deprecated names."""
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        yield


def adapted(model: Any, lora: LoRA, *, base: Path, seed: int) -> Any:
    """The model with adapters drawn from the seed; only they and the head need a gradient.

    `base` is the folder that the model was loaded from, to which the adapter's folder refers.
    """
    import peft

    head = scoring_head(model)
    config = peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS if head else peft.TaskType.FEATURE_EXTRACTION,
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora.targets, head),
        modules_to_save=head or None,
    )
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = peft.get_peft_model(model, config)
    # PEFT puts the folder as it was written there, which may be relative to this moment's
    config.base_model_name_or_path = str(base.resolve())
    return made


def scoring_head(model: Any) -> list[str]:
    """The names of the modules with weights outside the encoder, and of its pooler; a bare encoder has none."""
    if model.base_model is model:
        return []
    names = [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and any(True for _ in module.parameters())
    ]
    encoder = getattr(model, model.base_model_prefix)
    return [*names, *(["pooler"] if getattr(encoder, "pooler", None) is not None else [])]


def _targets(model: Any, ends: Sequence[str], head: Sequence[str]) -> list[str]:
    left = {*head, "pooler"}
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not set(name.split(".")) & left
    ]
    unknown = [end for end in ends if not any(name.endswith(end) for name in linear)]
    if unknown:
        known = sorted({name.rsplit(".", 1)[-1] for name in linear})
        raise BadInput(
            f"lora.targets: no linear module of {type(model).__name__} ends in {', '.join(unknown)}. "
            f"There are {', '.join(known)}."
        )
    return [name for name in linear if not ends or name.endswith(tuple(ends))]


def save(model: Any, folder: Path) -> None:
    """Write an adapter as PEFT does, the same bytes each time."""
    with _quiet():  # the vocabulary is the base's; "auto" would look for the base's configuration to compare them
        model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card, all placeholders
    (config,) = model.peft_config.values()
    written = json.loads((folder / folders.ADAPTER_CONFIG).read_text("utf-8"))
    for name, value in vars(config).items():
        if isinstance(
            value, set
        ):  # PEFT writes them in the order of a hash that differs by process
            written[name] = sorted(value)
    _write_config(folder, written)


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / folders.ADAPTER_CONFIG).write_text(text, "utf-8")


def refer(folder: Path, base: Path, *, carried_to: Path | None = None) -> None:
    """Record in an adapter's folder where its base is, and the SHA-256 of the base's files.

    carried_to: the folder's final place, if it carries a copy of the base. The copy is made of hard links where the
    file system has them.
    """
    carried = carried_to is not None
    if carried_to is not None:
        shutil.copytree(base, folder / BASE, copy_function=_linked)
        config = folders.declared(folder / folders.ADAPTER_CONFIG)
        config["base_model_name_or_path"] = str(carried_to.resolve() / BASE)
        _write_config(folder, config)
    path = BASE if carried else os.path.relpath(base.absolute(), folder.absolute())
    sums = {file.relative_to(base).as_posix(): sha256_of(file) for file in _files(base)}
    record = {"path": Path(path).as_posix(), "sha256": sums}
    (folder / folders.BASE_RECORD).write_text(
        json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8"
    )


def _linked(made: str, wanted: str) -> None:
    try:
        os.link(made, wanted)
    except OSError:
        shutil.copyfile(made, wanted)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def save_adapter(model: Any, folder: Path, *, prompt: str = "") -> None:
    """Write the adapter and the scoring head as PEFT does, and the files that sentence-transformers reads."""
    save(model, folder)
    write_card(folder, prompt)


def write_card(folder: Path, prompt: str) -> None:
    """Write the files that sentence-transformers reads of a cross-encoder, with the prompt before its queries."""
    for name, content in SENTENCE_TRANSFORMERS.items():
        if prompt and name == folders.CARD:
            content = content | {"prompts": {PROMPT: prompt}, "default_prompt_name": PROMPT}  # noqa: PLW2901
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def is_adapter(folder: Path) -> bool:
    """True for a folder that holds an adapter and not the model itself."""
    return (folder / folders.ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter was made for; a hub id is fetched, changed bytes are refused."""
    base, record = downloaded(location.base_of(folder)), folders.base_record(folder)
    for name, expected in record["sha256"].items() if record is not None else ():
        if not (base / name).is_file() or sha256_of(base / name) != expected:
            raise BadInput(
                f"{folder}: an adapter for the model in {base}, whose {name} is not what it was when the "
                "adapter was made. Put it back, or train the adapter again."
            )
    return base


def saved_whole(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes, by name, of the weights that an adapter's folder stores whole, such as a scoring head's."""
    stored = folders.header(_weights_of(Location(folder.name, folder)))
    return {
        name.removeprefix(PREFIX): tensor.shape
        for name, tensor in stored.items()
        if "lora_" not in name
    }


def require_whole(folder: Path, model: nn.Module) -> None:
    """Refuse an adapter whose folder lacks some of its weights: those in the model are random."""
    if not is_adapter(folder):
        return
    stored = folders.header(_weights_of(Location(folder.name, folder))).keys()
    names = (name for name in model.state_dict() if "lora_" in name)
    left = sorted(name for name in names if PREFIX + name.replace(".default", "") not in stored)
    if left:
        raise BadInput(
            f"{folder}: its adapter would be left partly at random: {counted(len(left), 'weight is', 'weights are')} missing (first: "
            f"{left[0]}). {folders.AGAIN}"
        )


def merged_from(model: nn.Module, where: Location) -> Any:
    """A bare encoder with somebody's LoRA adapter added into its weights; one that fits in part is refused."""
    import peft
    from peft.utils import set_peft_model_state_dict

    what = f"PEFT cannot put the adapter {where.source!r} on {type(model).__name__}"
    with _quiet(), folders.library_answers(where.source, what):
        config = peft.PeftConfig.from_pretrained(where.source, revision=where.revision)
        weights = load_file(_weights_of(where))
        if config.peft_type != peft.PeftType.LORA:
            kind = str(getattr(config.peft_type, "value", config.peft_type))
            raise BadInput(
                f"The adapter {where.source!r} is of the kind {kind}, which cannot be "
                "added into weights. Give a LoRA adapter."
            )
        config.base_model_name_or_path = None  # where it was trained; that it fits is seen below
        whole = peft.get_peft_model(model, config)
        result: Any = set_peft_model_state_dict(whole, weights)
    missing = [n for n in result.missing_keys if "lora_" in n or "modules_to_save" in n]
    homeless = [n for n in result.unexpected_keys if not _is_written_twice(n, weights)]
    left = sorted([*missing, *homeless])
    if left:
        raise BadInput(
            f"The adapter {where.source!r} does not fit {type(model).__name__}: {counted(len(left), 'weight is', 'weights are')} missing "
            f"or {of_number(len(left), 'has', 'have')} no place (first: {left[0]}). Give the backbone it was made for."
        )
    with _quiet():
        return merged(whole)


def _is_written_twice(name: str, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether it is a bias of a module that is saved whole, which PEFT writes again where `bias` is "all"."""
    twin = weights.get(name.replace(".modules_to_save.", "."))
    weight = weights.get(name)
    if twin is None or weight is None or twin is weight:
        return False
    return torch.equal(twin, weight)


def _weights_of(where: Location) -> Path:
    """An adapter's weights, as safetensors: a pickle is not read."""
    if where.folder is not None:
        path = where.folder / ADAPTER_WEIGHTS
        if path.is_file():
            return path
    else:
        with suppress(EntryNotFoundError):
            return Path(hf_hub_download(where.name, ADAPTER_WEIGHTS, revision=where.revision))
    raise BadInput(
        f"The adapter {where.source!r} has no {ADAPTER_WEIGHTS}, and pickles are not read. Load it in PEFT "
        "and save it again: `PeftModel.from_pretrained(...).save_pretrained(FOLDER)`."
    )


def is_adapted(model: nn.Module) -> bool:
    """Whether there are adapters in a model."""
    return hasattr(model, "merge_and_unload")


def merged_with(model: nn.Module, folder: Path) -> Any:
    """The base model with an adapter's weights added into its own; one that fits in part is refused."""
    return merged_from(model, Location(folder.name, folder))


def merged(model: Any) -> Any:
    """The whole model, its adapters added into its weights; all of them can be trained again."""
    return model.merge_and_unload().requires_grad_(True)
