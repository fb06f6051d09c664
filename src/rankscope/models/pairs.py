"""Query and doc joined as their tokenizer joins them, from token ids made once.

Tokenizers are slow beside what they feed, and a doc is read with many queries. So texts are
tokenised alone, once, and a pair is put together from ids: special tokens before, between and
after, the longer side cut first, exactly as the tokenizer itself does (checked on every tokenizer
that is used, and tested over architectures, lengths and sides).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankscope.core.errors import BadInput

Tokens = NDArray[Any]
"""The token ids of one text, without special tokens: (tokens,), some integer type."""
Text = str | Tokens
"""A text, or its tokens."""

PROBES = (("a", "b"), ("who asks what", "one, two; three."), ("x", "It's a test-case of 42 words"))


class JoinedPair(NamedTuple):
    """A query and a doc as one sequence: (tokens,) ids, and the types of the tokens."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]


class _Part(NamedTuple):
    """Special tokens in a row, and their types."""

    ids: list[int]
    types: list[int]


@final
class Joiner:
    """Joins the tokens of two texts, and pads pairs to a batch, as one tokenizer does."""

    def __init__(self, tokenizer: Any) -> None:
        """Learn which special tokens the tokenizer puts around two texts; BadInput if they are not constant."""
        self._tokenizer = tokenizer
        if not tokenizer.is_fast:
            raise BadInput(
                f"{type(tokenizer).__name__} is a slow tokenizer, which cannot say which token "
                "belongs to which text. Save a fast one (tokenizer.json) beside the model."
            )
        self._cuts_left = tokenizer.truncation_side == "left"
        self._pads_left = tokenizer.padding_side == "left"
        self._has_types = "token_type_ids" in tokenizer.model_input_names
        encoded, ids, types = self._whole(*PROBES[0])
        sides = encoded.sequence_ids(0)
        if not {0, 1} <= set(sides):
            raise self._unsupported()
        first, second = sides.index(0), sides.index(1)
        ends = len(sides) - sides[::-1].index(0), len(sides) - sides[::-1].index(1)
        spans = (slice(0, first), slice(ends[0], second), slice(ends[1], None))
        self._before, self._between, self._after = (
            _Part(ids[span].tolist(), types[span].tolist()) for span in spans
        )
        self._query_type, self._doc_type = int(types[first]), int(types[second])
        self.n_special = sum(len(part.ids) for part in (self._before, self._between, self._after))
        for query, doc in PROBES:
            _, ids, types = self._whole(query, doc)
            joined = self.join(*self.tokens([query, doc]), max_length=len(ids))
            if not (np.array_equal(joined.ids, ids) and np.array_equal(joined.types, types)):
                raise self._unsupported()

    def _unsupported(self) -> BadInput:
        return BadInput(
            f"{type(self._tokenizer).__name__} joins two texts by more than special tokens around "
            "them, which is not supported. Use the tokenizer.json of a BERT, RoBERTa, ELECTRA or LLaMA "
            "type."
        )

    def _whole(self, query: str, doc: str) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
        encoded = self._tokenizer(query, doc)
        ids = np.array(encoded["input_ids"], dtype=np.int64)
        types = encoded["token_type_ids"] if self._has_types else [0] * len(ids)
        return encoded, ids, np.array(types, dtype=np.int64)

    @property
    def tokenizer_key(self) -> str:
        """A hash of everything that decides the token ids of a text alone: equal keys, equal tokens."""
        backend = self._tokenizer.backend_tokenizer
        parts = json.loads(backend.to_str())
        for name in ("truncation", "padding", "post_processor"):
            parts.pop(name, None)
        # `split_special_tokens` sets it; tokenizer.json does not have it
        parts["encode_special_tokens"] = backend.encode_special_tokens
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The token ids of each text alone, whole and without special tokens."""
        encoded = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            truncation=False,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return [np.array(ids, dtype=np.int64) for ids in encoded["input_ids"]]

    def join(self, query: Tokens, doc: Tokens, *, max_length: int) -> JoinedPair:
        """The pair in at most `max_length` tokens, the longer side cut first."""
        n_query, n_doc = shares(len(query), len(doc), max_length - self.n_special)
        query, doc = self._cut(query, n_query), self._cut(doc, n_doc)
        before, between, after = self._before, self._between, self._after
        ids = [*before.ids, *query.tolist(), *between.ids, *doc.tolist(), *after.ids]
        types = before.types + [self._query_type] * n_query + between.types
        types += [self._doc_type] * n_doc + after.types
        return JoinedPair(np.array(ids, dtype=np.int64), np.array(types, dtype=np.int64))

    def _cut(self, tokens: Tokens, n: int) -> Tokens:
        return tokens[len(tokens) - n :] if self._cuts_left else tokens[:n]

    def pad(self, pairs: Sequence[JoinedPair]) -> Mapping[str, Tensor]:
        """The model's inputs, each (pairs, tokens), padded to the longest pair."""
        width = max(len(pair.ids) for pair in pairs)
        ids = np.full((len(pairs), width), self._tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        types = np.full_like(ids, self._tokenizer.pad_token_type_id)
        for row, pair in enumerate(pairs):
            n = len(pair.ids)
            place = slice(width - n, width) if self._pads_left else slice(0, n)
            ids[row, place], mask[row, place], types[row, place] = pair.ids, 1, pair.types
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if self._has_types:
            inputs["token_type_ids"] = torch.from_numpy(types)
        return inputs


def shares(n_query: int, n_doc: int, room: int) -> tuple[int, int]:
    """The numbers of tokens of each side that fit into `room`: the longer side is cut until both are equal.

    So tokenizers' "longest first" does it; of an odd room the side that was longer gets the one
    more, the doc if both were equal.
    """
    if n_query + n_doc <= room:
        return n_query, n_doc
    shorter = min(n_query, n_doc)
    half, longer = room // 2, room - room // 2
    if shorter > half:
        return (longer, half) if n_query > n_doc else (half, longer)
    return (room - shorter, shorter) if n_query > n_doc else (shorter, room - shorter)
