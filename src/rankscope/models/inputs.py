"""What of a text reaches a model: docs that are cut, tokens the head needs, prompts nobody gives.

A prompt is text before a query or doc, such as `query: `; models tuned with one are weaker without.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankscope.models import backbone
from rankscope.models.cross_encoder import CrossEncoder


def n_cut(ranker: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> int:
    """How many of the (query, doc) pairs are longer than the ranker reads."""
    if not pairs:
        return 0
    with backbone.quiet():  # the tokenizer would say of each that it is too long
        whole = ranker.tokenizer(
            [query for query, _ in pairs], [doc for _, doc in pairs], truncation=False
        )
    return sum(len(ids) > ranker.max_length for ids in whole["input_ids"])


def missing_tokens(ranker: CrossEncoder, query: str, doc: str) -> list[str]:
    """What is wrong with the special tokens of a pair, for the head that reads them; [] if nothing is.

    An encoder's head reads the first token, one that stands for the whole ([CLS]). A decoder's reads
    the last that is no padding, and only the last has seen all: it should be the end token.
    """
    tokenizer: Any = ranker.tokenizer
    encoded = tokenizer(query, doc, truncation=True, max_length=ranker.max_length)
    ids, special = list(encoded["input_ids"]), set(tokenizer.all_special_ids)
    found = []
    if reads_last(ranker):
        end = tokenizer.eos_token_id
        if end is None or ids[-1] != end:
            found.append(f"the text does not end in an end token ({_named(tokenizer, 'eos')})")
        elif ranker.model.config.pad_token_id == end:  # type: ignore[union-attr]
            found.append("the end token is the padding token too, so the head reads the one before")
        inner = ids[1:-1]
    else:
        starts = {tokenizer.cls_token_id, tokenizer.bos_token_id} - {None}
        if ids[0] not in starts:
            found.append(f"the text does not begin with a class token ({_named(tokenizer, 'cls')})")
        inner = ids[1:-1]
    if not special & set(inner):
        found.append("nothing stands between query and doc")
    return found


def reads_last(ranker: CrossEncoder) -> bool:
    """Whether each token sees only those before it, as in a decoder."""
    return any(getattr(module, "is_causal", False) for module in ranker.model.modules())


def _named(tokenizer: Any, kind: str) -> str:
    token = getattr(tokenizer, f"{kind}_token")
    return f"`{kind}_token` is {token!r}" if token else f"it has no `{kind}_token`"


def unused_prompts(folder: Path, used: frozenset[str]) -> list[str]:
    """The names of the prompts a model folder has, if none of those in use is among them.

    A folder that has a default prompt uses that one.
    """
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return []
    config = json.loads(path.read_text("utf-8"))
    prompts = {name: text for name, text in (config.get("prompts") or {}).items() if text}
    if used & (config.get("prompts") or {}).keys() or (config.get("default_prompt_name") and used):
        return []
    return sorted(prompts)


QUERY_PROMPTS = frozenset({"query"})
"""What sentence-transformers puts before a bi-encoder's queries, where the folder has it."""
