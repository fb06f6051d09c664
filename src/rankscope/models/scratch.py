"""A small BERT built from nothing: its vocabulary from a collection's text, its weights random.

The vocabulary is the special tokens, every character of the text (alone and inside a word), then
whole words by frequency and alphabet: no trainer whose ties depend on the machine.
"""

import re
from collections import Counter
from collections.abc import Iterable

import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = re.compile(r"\w+|[^\w\s]")


def vocabulary(texts: Iterable[str], size: int) -> list[str]:
    """At most `size` word pieces, the characters of the text first."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(WORDS.findall(text.lower()))
    characters = sorted({character for word in words for character in word})
    pieces = [*SPECIAL, *characters, *(f"##{character}" for character in characters)]
    known = set(pieces)
    frequent = sorted(words, key=lambda word: (-words[word], word))
    pieces += [word for word in frequent if word not in known]
    return pieces[:size]


def tokenizer(pieces: list[str], max_length: int) -> BertTokenizer:
    """An uncased WordPiece tokenizer over a given vocabulary."""
    numbered = {piece: number for number, piece in enumerate(pieces)}
    return BertTokenizer(vocab=numbered, model_max_length=max_length)


def masked_language_model(
    n_pieces: int, *, layers: int, width: int, heads: int, max_length: int, seed: int
) -> BertForMaskedLM:
    """A BERT with random weights, drawn from the seed."""
    config = BertConfig(
        vocab_size=n_pieces,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=max_length,
        pad_token_id=SPECIAL.index("[PAD]"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForMaskedLM(config)
