"""What of a text reaches a model: docs that are cut, tokens the head needs, prompts nobody gives.

A prompt is text before a query or doc, such as `query: `; models tuned with one are weaker without.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.files import folders
from rankscope.models.pairs import Text, Tokens


def n_cut(ranker: CrossEncoder, pairs: Sequence[tuple[Text, Text]]) -> int:
    """How many of the (query, doc) pairs are longer than the ranker reads."""
    whole = ranker.joiner.n_special - ranker.max_length
    tokens = (
        (_tokens(ranker.query_tokens, query), _tokens(ranker.tokens, doc)) for query, doc in pairs
    )
    return sum(len(query) + len(doc) + whole > 0 for query, doc in tokens)


def _tokens(made: Callable[[Sequence[str]], list[Tokens]], text: Text) -> Tokens:
    return made([text])[0] if isinstance(text, str) else text


def missing_tokens(ranker: CrossEncoder, query: Text, doc: Text) -> list[str]:
    """What is wrong with the special tokens of a pair, for the head that reads them; [] if nothing is.

    An encoder's head reads the first token, one that stands for the whole ([CLS]). A decoder's reads
    the last that is no padding, and only the last has seen all: it should be the end token.
    """
    tokenizer: Any = ranker.tokenizer
    model: Any = ranker.model
    ids = ranker.pairs([(query, [doc])])[0].ids.tolist()
    found = []
    if ranker.pooling == "last":
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


def left_out(prompts: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a bi-encoder's prompts that no text gets: queries get `query`, docs `document`, none a default."""
    used = {prompts.get("query"), prompts.get("document")}
    return tuple(sorted(name for name, text in prompts.items() if text and text not in used))


def notes_on(ranker: Any) -> list[str]:
    """What a user should know of how a ranker's folder was read: labels made one, prompts that no text gets."""
    found = []
    labels = getattr(ranker, "labels", ())
    if labels:
        found.append(
            f"The model has two labels: a score is the logit of {labels[1]!r} (label 1) less that of "
            f"{labels[0]!r} (label 0)."
        )
    if isinstance(ranker, CrossEncoder):
        names, where = ranker.left_out, "`default_prompt_name` names the one before queries"
    else:
        names = left_out(ranker.inner.prompts)
        where = "queries get `query`, docs `document`"
    if names:
        found.append(
            f"The model comes with prompts that no text gets ({', '.join(names)}): {where}, as in "
            "sentence-transformers. Rename them in its config_sentence_transformers.json, or give a bi-encoder "
            "`prefixes` in a study."
        )
    return found
