"""The settings in a cross-encoder's folder, as sentence-transformers reads them. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.models.files.declared import (
    CARD,
    MODULES,
    TRANSFORMER_CONFIGS,
    declared,
    in_short,
    modules,
)

MONOTONE = frozenset({"Identity", "Sigmoid", "Tanh", "Softplus", "LogSigmoid", "Softsign", "ELU", "LeakyReLU"})  # fmt: skip
"""Activations that keep the order of logits, so that logits rank docs as their outputs do."""
UNDERSTOOD = frozenset(
    {"transformer_task", "modality_config", "module_output_name", "max_seq_length", "do_lower_case",
     "unpad_inputs", "query_length", "document_length", "query_expansion"}
)  # fmt: skip
"""Fields that `sentence_bert_config.json` may have in a cross-encoder's folder."""
BY_LOGITS = {"method": "forward", "method_output_name": "logits"}


@dataclass(frozen=True)
class ScorerCard:
    """The settings that sentence-transformers reads from a cross-encoder's folder beside its weights."""

    encoder: Path
    """The folder of the transformer."""
    prompt: str = ""
    """Text before every query."""
    max_length: int | None = None
    lowercase: bool = False
    left_out: tuple[str, ...] = ()
    """The names of prompts that no text gets."""
    takes_messages: bool = True
    """Whether pairs are written by the tokenizer's chat template, if it has one."""


def scorer_card(folder: Path) -> ScorerCard:
    """The settings in a cross-encoder's folder; one that is not supported here is refused by name.

    As in sentence-transformers, prompts and settings count only in a folder with `modules.json` that
    calls itself a CrossEncoder.
    """
    listed = modules(folder)
    card = declared(folder / CARD) if listed else {}
    if card.get("model_type") != "CrossEncoder":
        _check_activation(folder / "config.json", _activation_in(folder / "config.json"))
        unread = declared(folder / CARD).get("prompts") or {}
        return ScorerCard(folder, left_out=_with_text(unread))
    kinds = [module.type for module in listed]
    if kinds != ["Transformer"]:
        raise BadInput(
            f"{folder / MODULES}: a cross-encoder of the modules {', '.join(kinds)}; only one whose transformer "
            "gives the score itself is supported (a ...ForSequenceClassification model). Give such a one."
        )
    encoder = listed[0].folder
    path = next((encoder / name for name in TRANSFORMER_CONFIGS if declared(encoder / name)), None)
    settings = declared(path) if path else {}
    if path is not None:
        _check_settings(path, settings)
    written = card.get("activation_fn") or _activation_in(encoder / "config.json")
    _check_activation(folder / CARD, written)
    prompts, default = card.get("prompts") or {}, card.get("default_prompt_name")
    prompt = (prompts.get(default) or "") if default else ""
    return ScorerCard(
        encoder,
        prompt=prompt,
        left_out=_with_text({n: t for n, t in prompts.items() if t != prompt}),
        max_length=settings.get("max_seq_length"),
        lowercase=bool(settings.get("do_lower_case")),
        takes_messages="message" in (settings.get("modality_config") or {"message": None}),
    )


def _with_text(prompts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(name for name, text in prompts.items() if text))


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    other = sorted(name for name in settings.keys() - UNDERSTOOD if settings[name])
    text = (settings.get("modality_config") or {"text": BY_LOGITS}).get("text")
    task = settings.get("transformer_task", "feature-extraction")
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
    """Refuse an activation that does not keep the order; sentence-transformers replaces others' code by a sigmoid."""
    if not isinstance(written, str | None):
        raise BadInput(
            f"{path}: the activation function is {in_short(written)}, and no text. Correct it."
        )
    if not written or not written.startswith("torch."):
        return
    if written.rsplit(".", 1)[-1] not in MONOTONE:
        raise BadInput(
            f"{path}: the activation {written!r} does not keep the order of scores, which are logits here. Use one of "
            f"{', '.join(sorted(MONOTONE))}."
        )


def names_of_labels(config: Mapping[str, Any], n: int) -> list[str]:
    """The names that a configuration gives to the labels of its head."""
    names = config.get("id2label") or {}
    return [str(names.get(k, names.get(str(k), f"LABEL_{k}"))) for k in range(n)]
