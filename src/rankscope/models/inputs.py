"""What of a text reaches a model: tokens the head needs, prompts nobody gives.

A prompt is text before a query or doc, such as `query: `; models tuned with one are weaker without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.models.files import folders
from rankscope.models.pairs import Text
from rankscope.models.ranker import PAIR, Ranker, TrainableRanker

PROMPTS_USED = "queries get `query`, docs `document`"
"""Of rankers that read query and doc apart: which texts get which prompt."""


def missing_tokens(ranker: TrainableRanker, query: Text, doc: Text) -> list[str]:
    """What is wrong with the special tokens of a pair, for the head that reads them; [] if nothing is.

    An encoder's head reads the first token, one that stands for the whole ([CLS]). A decoder's reads
    the last that is no padding, and only the last has seen all: it should be the end token.
    """
    tokenizer = ranker.tokenizer_of(PAIR)
    model: Any = ranker.model
    ids = ranker.inputs([(query, doc)], PAIR)[0].ids.tolist()
    found = []
    if ranker.pooling(PAIR) == "last":
        end = tokenizer.eos_token_id
        if end is None or ids[-1] != end:
            found.append(f"the text does not end in an end token ({_named(tokenizer, 'eos')})")
        elif model.config.pad_token_id == end:
            found.append("the end token is the padding token too, so the head reads the one before")
    elif ids[0] not in {tokenizer.cls_token_id, tokenizer.bos_token_id}:
        found.append(f"the text does not begin with a class token ({_named(tokenizer, 'cls')})")
    if not set(tokenizer.all_special_ids) & set(ids[1:-1]):
        found.append("nothing stands between query and doc")
    return found


def _named(tokenizer: Any, kind: str) -> str:
    token = getattr(tokenizer, f"{kind}_token")
    return f"`{kind}_token` is {token!r}" if token else f"it has no `{kind}_token`"


def prompts_in(folder: Path) -> dict[str, str]:
    """The prompts a model folder has, by name."""
    found = folders.declared(folder / folders.CARD).get("prompts") or {}
    return {name: text for name, text in found.items() if text}


def left_out(prompts: Mapping[str, str | None]) -> tuple[str, ...]:
    """The names of a bi-encoder's prompts that no text gets: queries get `query`, docs `document`, none a default."""
    used = {prompts.get("query"), prompts.get("document")}
    return tuple(sorted(name for name, text in prompts.items() if text and text not in used))


def notes_on(ranker: Ranker) -> list[str]:
    """What a user should know of how a ranker's folder was read: labels made one, prompts that no text gets."""
    found = []
    labels = getattr(ranker, "labels", ())
    if labels:
        found.append(
            f"The model has two labels: a score is the logit of {labels[1]!r} (label 1) less that of "
            f"{labels[0]!r} (label 0)."
        )
    if ranker.left_out:
        found.append(
            f"The model comes with prompts that no text gets ({', '.join(ranker.left_out)}): {ranker.prompts_used}, as in "
            "sentence-transformers. Rename them in its config_sentence_transformers.json, or give a bi-encoder "
            "`prefixes` in a study."
        )
    return found
