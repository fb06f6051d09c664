"""LoRA: small trained matrices beside frozen ones (Hu et al. 2021), by PEFT.

The encoder's linear modules get adapters; whatever lies outside the encoder, and its pooler, is
the scoring head: it is trained whole and saved with the adapter. An adapter's folder loads in PEFT,
transformers and sentence-transformers as long as the model it was made for is where it was. It has
no config.json: with one, transformers takes it for a whole model and misses the weights.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rankscope.core.errors import BadInput
from rankscope.models.backbone import quiet

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
        task_type=peft.TaskType.SEQ_CLS,
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora.targets, head),
        modules_to_save=head,
    )
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = peft.get_peft_model(model, config)
    # PEFT puts the folder as it was written there, which may be relative to this moment's
    config.base_model_name_or_path = str(base.resolve())
    return made


def scoring_head(model: Any) -> list[str]:
    """The names of the modules with weights outside the encoder, and of its pooler."""
    names = [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and any(True for _ in module.parameters())
    ]
    encoder = getattr(model, model.base_model_prefix)
    return [*names, *(["pooler"] if getattr(encoder, "pooler", None) is not None else [])]


def _targets(model: Any, ends: Sequence[str], head: Sequence[str]) -> list[str]:
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not set(name.split(".")) & set(head)
    ]
    unknown = [end for end in ends if not any(name.endswith(end) for name in linear)]
    if unknown:
        known = sorted({name.rsplit(".", 1)[-1] for name in linear})
        raise BadInput(
            f"lora.targets: no linear module of {type(model).__name__} ends in {', '.join(unknown)}. "
            f"There are {', '.join(known)}."
        )
    return [name for name in linear if not ends or name.endswith(tuple(ends))]


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter and the scoring head as PEFT does, and what sentence-transformers reads."""
    with _quiet():
        model.save_pretrained(folder)
    for name, content in SENTENCE_TRANSFORMERS.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card, all placeholders


def is_adapter(folder: Path) -> bool:
    """True for a folder that holds an adapter and not the model itself."""
    return (folder / "adapter_config.json").is_file()


def base_of(folder: Path) -> Path:
    """The folder of the model that an adapter was made for."""
    import peft

    base = Path(str(peft.PeftConfig.from_pretrained(str(folder)).base_model_name_or_path))
    if not (base / "config.json").is_file():
        raise BadInput(
            f"{folder}: an adapter for {base}, where there is no model any more. Put it back there, "
            "or correct base_model_name_or_path in adapter_config.json."
        )
    return base


def merged_with(model: nn.Module, folder: Path) -> Any:
    """The base model with an adapter's weights added into its own."""
    import peft

    with _quiet():
        return merged(peft.PeftModel.from_pretrained(model, str(folder)))


def merged(model: Any) -> Any:
    """The whole model, its adapters added into its weights; all of them can be trained again."""
    return model.merge_and_unload().requires_grad_(True)
