"""LoRA: small trained matrices beside frozen ones (Hu et al. 2021), by PEFT.

The encoder's linear modules get adapters; whatever lies outside the encoder, and its pooler, is
the scoring head: it is trained whole and saved with the adapter. It has no config.json: with one,
transformers takes it for a whole model and misses the weights.

    adapter_config.json     PEFT's; base_model_name_or_path is where the base was, for its and others' loaders
    base.json               where the base is from this folder, and SHA-256 of each of its files
    base/                   the base itself, where it was asked to come along

Ours goes by base.json, so a results folder can be copied or moved, and a base that was changed is refused.
Of PEFT, give the base: `PeftModel.from_pretrained(AutoModel....from_pretrained(FOLDER / "base"), FOLDER)`.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
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
from rankscope.models.backbone import quiet
from rankscope.models.location import Location

ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
BASE, BASE_RECORD = "base", "base.json"
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
"""What sentence-transformers writes beside an adapter, and reads again."""


@dataclass(frozen=True)
class LoRA:
    """How large the adapters are, and where they sit."""

    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    """Ends of module names; all linear modules of the encoder, if empty."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside the block, no word of PEFT and transformers on names of each other's that are old."""
    with quiet(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
        yield


def adapted(model: Any, lora: LoRA, *, base: Path, seed: int) -> Any:
    """The model with adapters drawn from the seed; all but them and the head need no gradient.

    `base` is where the model was loaded from: what the adapter's folder refers to.
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
    with _quiet():
        model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card, all placeholders
    (config,) = model.peft_config.values()
    path = folder / ADAPTER_CONFIG
    written = json.loads(path.read_text("utf-8"))
    for name, value in vars(config).items():
        if isinstance(
            value, set
        ):  # PEFT writes them in the order of a hash that differs by process
            written[name] = sorted(value)
    path.write_text(json.dumps(written, indent=2, sort_keys=True), "utf-8")


def refer(folder: Path, base: Path, *, carried: bool) -> None:
    """Say in an adapter's folder where its base is, and what its bytes are; `carried`: it comes along.

    It takes no room of its own where the disk can have a file in two places.
    """
    if carried:
        shutil.copytree(base, folder / BASE, copy_function=_linked)
    path = BASE if carried else os.path.relpath(base.absolute(), folder.absolute())
    sums = {file.relative_to(base).as_posix(): _sum(file) for file in _files(base)}
    record = {"path": Path(path).as_posix(), "sha256": sums}
    (folder / BASE_RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8")


def _linked(made: str, wanted: str) -> None:
    try:
        os.link(made, wanted)
    except OSError:
        shutil.copyfile(made, wanted)


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter and the scoring head as PEFT does, and what sentence-transformers reads."""
    save(model, folder)
    for name, content in SENTENCE_TRANSFORMERS.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def is_adapter(folder: Path) -> bool:
    """True for a folder that holds an adapter and not the model itself."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter was made for; one whose bytes were changed is refused.

    As `refer` has written, from the adapter's folder; if it is not there, where it was.
    """
    import peft

    record = _record(folder)
    base = Path(str(peft.PeftConfig.from_pretrained(str(folder)).base_model_name_or_path))
    if record is not None and (folder / record["path"] / "config.json").is_file():
        base = (folder / record["path"]).resolve()
    if not (base / "config.json").is_file():
        raise BadInput(
            f"{folder}: an adapter for {base}, where there is no model any more. Put it back there, "
            "or correct base_model_name_or_path in adapter_config.json."
        )
    for name, expected in record["sha256"].items() if record is not None else ():
        if not (base / name).is_file() or _sum(base / name) != expected:
            raise BadInput(
                f"{folder}: an adapter for the model in {base}, whose {name} is not what it was when the "
                "adapter was made. Put it back, or train the adapter again."
            )
    return base


def _record(folder: Path) -> dict[str, Any] | None:
    """What `refer` has written; None where it has not."""
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


def merged_from(model: nn.Module, location: Location) -> Any:
    """A bare encoder with somebody's LoRA adapter added into its weights; one that fits in part is refused."""
    import peft
    from peft.utils import set_peft_model_state_dict

    try:
        with _quiet():
            config = peft.PeftConfig.from_pretrained(location.source, revision=location.revision)
            weights = load_file(_weights_of(location))
            if config.peft_type != peft.PeftType.LORA:
                raise BadInput(
                    f"The adapter {location.source!r} is of the kind {config.peft_type.value}, which cannot be "
                    "added into weights. Give a LoRA adapter."
                )
            config.base_model_name_or_path = (
                None  # where it was trained; that it fits is seen below
            )
            whole = peft.get_peft_model(model, config)
            told: Any = set_peft_model_state_dict(whole, weights)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(
            f"The adapter {location.source!r} cannot be put on {type(model).__name__} ({reason}). Give a "
            "folder or hub id of PEFT's, made for this backbone."
        ) from error
    missing = [n for n in told.missing_keys if "lora_" in n or "modules_to_save" in n]
    left = sorted([*missing, *told.unexpected_keys])
    if left:
        raise BadInput(
            f"The adapter {location.source!r} does not fit {type(model).__name__}: {len(left)} weights are missing "
            f"or have no place (first: {left[0]}). Give the backbone it was made for."
        )
    with _quiet():
        return merged(whole)


def _weights_of(location: Location) -> Path:
    """An adapter's weights, as safetensors: a pickle is not read."""
    if location.folder is not None:
        found = location.folder / ADAPTER_WEIGHTS
        if found.is_file():
            return found
    else:
        with suppress(EntryNotFoundError):
            return Path(hf_hub_download(location.name, ADAPTER_WEIGHTS, revision=location.revision))
    raise BadInput(
        f"The adapter {location.source!r} has no {ADAPTER_WEIGHTS}, and pickles are not read. Load it in PEFT "
        "and save it again: `PeftModel.from_pretrained(...).save_pretrained(FOLDER)`."
    )


def is_adapted(model: nn.Module) -> bool:
    """Whether there are adapters in a model."""
    return hasattr(model, "merge_and_unload")


def merged_with(model: nn.Module, folder: Path) -> Any:
    """The base model with an adapter's weights added into its own."""
    import peft

    with _quiet():
        return merged(peft.PeftModel.from_pretrained(model, str(folder)))


def merged(model: Any) -> Any:
    """The whole model, its adapters added into its weights; all of them can be trained again."""
    return model.merge_and_unload().requires_grad_(True)
