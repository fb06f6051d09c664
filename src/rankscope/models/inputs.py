"""Checks of a model's inputs: special tokens that its head needs, prompts that no text gets.

A prompt is text before a query or doc, such as `query: `; models tuned with one are weaker without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.models.files import folders
from rankscope.models.pairs import Text
from rankscope.models.ranker import PAIR, Ranker, TrainableRanker

PROMPTS_USED = "queries get `query`, docs `document`"
"""Which texts get which prompt, with rankers that read query and doc apart."""


def missing_tokens(ranker: TrainableRanker, query: Text, doc: Text) -> list[str]:
    """Faults in the special tokens of a pair, for the head that reads them; [] without any.

    An encoder's head reads the first token, one that stands for the whole ([CLS]). A decoder's reads
    the last that is no padding, and only the last has seen all: it should be the end token.
    """
    tokenizer = ranker.tokenizer_of(PAIR)
    model: Any = ranker.model
    ids = ranker.inputs([(query, doc)], PAIR)[0].ids.tolist()
    faults = []
    if ranker.pooling(PAIR) == "last":
        end = tokenizer.eos_token_id
        if end is None or ids[-1] != end:
            faults.append(f"the text does not end in an end token ({_named(tokenizer, 'eos')})")
        elif model.config.pad_token_id == end:
            faults.append(
                "the end token is the padding token too, so the head reads the one before"
            )
    elif ids[0] not in {tokenizer.cls_token_id, tokenizer.bos_token_id}:
        faults.append(f"the text does not begin with a class token ({_named(tokenizer, 'cls')})")
    if not set(tokenizer.all_special_ids) & set(ids[1:-1]):
        faults.append("nothing stands between query and doc")
    return faults


def _named(tokenizer: Any, kind: str) -> str:
    token = getattr(tokenizer, f"{kind}_token")
    return f"`{kind}_token` is {token!r}" if token else f"it has no `{kind}_token`"


def prompts_in(folder: Path) -> dict[str, str]:
    """The prompts a model folder has, by name."""
    prompts = folders.declared(folder / folders.CARD).get("prompts") or {}
    return {name: text for name, text in prompts.items() if text}


def left_out(prompts: Mapping[str, str | None]) -> tuple[str, ...]:
    """The names of a bi-encoder's prompts that no text gets: queries get `query`, docs `document`, none a default."""
    used = {prompts.get("query"), prompts.get("document")}
    return tuple(sorted(name for name, text in prompts.items() if text and text not in used))


def notes_on(ranker: Ranker) -> list[str]:
    """Notes for the user on how a ranker's folder was read: two labels made one, prompts that no text gets."""
    notes = []
    labels = getattr(ranker, "labels", ())
    if labels:
        notes.append(
            f"The model has two labels: a score is the logit of {labels[1]!r} (label 1) less that of "
            f"{labels[0]!r} (label 0)."
        )
    if ranker.left_out:
        notes.append(
            f"The model comes with prompts that no text gets ({', '.join(ranker.left_out)}): {ranker.prompts_used}, as in "
            "sentence-transformers. Rename them in its config_sentence_transformers.json, or give a bi-encoder "
            "`prefixes` in a study."
        )
    return notes
