import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.core.errors import BadInput
from rankscope.models.pairs import Joiner, shares
from support import tiny
from support.tokenizer_families import FAMILIES

WORDS = [
    "",
    "red",
    "Cat",
    "who",
    "taught",
    "it's",
    "naïve",
    "42",
    "-",
    "日本",
    "\t",
    "[SEP]",
    "</s>",
]
LATIN = st.characters(codec="utf-8", exclude_categories=("Cs",))
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join), st.text(LATIN, max_size=40)
)
SIDES = st.sampled_from(["left", "right"])


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Any]:
    return {name: make() for name, make in FAMILIES.items()}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    room=st.integers(0, 45),
    cuts=SIDES,
    pads=SIDES,
)
def test_pairs_are_what_the_tokenizer_itself_makes_of_two_texts(
    tokenizers: dict[str, Any],
    family: str,
    pairs: list[tuple[str, str]],
    room: int,
    cuts: str,
    pads: str,
) -> None:
    tokenizer = tokenizers[family]
    tokenizer.truncation_side, tokenizer.padding_side = cuts, pads
    joiner = Joiner(tokenizer)
    max_length = joiner.n_special + room
    queries, docs = (joiner.tokens(side) for side in zip(*pairs, strict=True))
    joined = [
        joiner.join(query, doc, max_length=max_length)
        for query, doc in zip(queries, docs, strict=True)
    ]
    theirs = tokenizer(*map(list, zip(*pairs, strict=True)), truncation=True, max_length=max_length)
    assert [pair.ids.tolist() for pair in joined] == theirs["input_ids"]
    if "token_type_ids" in theirs:
        assert [pair.types.tolist() for pair in joined] == theirs["token_type_ids"]
    ours = joiner.pad(joined)
    padded = tokenizer.pad(theirs, return_tensors="pt")
    assert ours.keys() == padded.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == padded[name].dtype
        assert tensor.tolist() == padded[name].tolist(), name


def test_the_families_differ_in_what_they_put_between(tokenizers: dict[str, Any]) -> None:
    """Else the law above would be tried on one kind of pair only."""
    assert {name: Joiner(made).n_special for name, made in tokenizers.items()} == {
        "wordpiece": 3, "word_level": 3, "byte_level": 4, "begin_and_end": 4, "minilm": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n_query", "n_doc", "room", "kept"),
    [
        (3, 9, 20, (3, 9)),
        (3, 9, 8, (3, 5)),
        (9, 3, 8, (5, 3)),
        (9, 9, 8, (4, 4)),
        (9, 9, 7, (3, 4)),
        (9, 8, 7, (4, 3)),
        (0, 9, 4, (0, 4)),
        (5, 5, 0, (0, 0)),
        (5, 5, 1, (0, 1)),
    ],
)
def test_the_longer_side_is_cut_until_both_are_equal(
    n_query: int, n_doc: int, room: int, kept: tuple[int, int]
) -> None:
    assert shares(n_query, n_doc, room) == kept


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_tokenizers_have_equal_keys_whatever_they_were_asked(
    family: str, tmp_path: Path
) -> None:
    tokenizer = FAMILIES[family]()
    key = Joiner(tokenizer).tokenizer_key
    tokenizer(["red cat"], ["dog " * 90], truncation=True, max_length=9, padding="max_length")
    assert Joiner(tokenizer).tokenizer_key == key
    tokenizer.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    again.truncation_side, again.padding_side, again.model_max_length = "left", "left", 17
    assert Joiner(again).tokenizer_key == key


def test_tokenizers_that_differ_have_keys_that_differ() -> None:
    lower, cased = FAMILIES["wordpiece"](), FAMILIES["wordpiece"]()
    cased.backend_tokenizer.normalizer.lowercase = False
    added = copy.deepcopy(lower)
    added.add_tokens(["café"])
    split = copy.deepcopy(lower)
    split.split_special_tokens = True
    assert (
        Joiner(split).tokens(["[SEP]"])[0].tolist() != Joiner(lower).tokens(["[SEP]"])[0].tolist()
    )
    others = [FAMILIES[name]() for name in FAMILIES if name != "wordpiece"]
    keys = [Joiner(made).tokenizer_key for made in (lower, cased, added, split, *others)]
    assert len(set(keys)) == len(keys)


def test_tokens_are_those_of_the_text_alone_and_never_cut(tokenizers: dict[str, Any]) -> None:
    for tokenizer in tokenizers.values():
        joiner = Joiner(tokenizer)
        long, empty = joiner.tokens(["red cat " * 400, ""])
        assert len(long) >= 800
        assert (len(empty), empty.dtype) == (0, np.int64)


def test_a_slow_tokenizer_is_refused() -> None:
    with pytest.raises(BadInput, match="CanineTokenizer is a slow tokenizer"):
        Joiner(transformers.CanineTokenizer())


def test_a_tokenizer_that_does_more_than_put_tokens_around_is_refused() -> None:
    """The doc before the query: joined from parts it would be another sequence."""
    from tokenizers import processors

    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $B [SEP] $A [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    with pytest.raises(BadInput, match="joins two texts by more than special tokens"):
        Joiner(tokenizer)


def test_a_tokenizer_to_which_letters_are_nothing_is_refused() -> None:
    from tokenizers import Tokenizer, models

    inner = Tokenizer(models.BPE({"z": 0}, []))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]")
    with pytest.raises(BadInput, match="joins two texts by more than special tokens"):
        Joiner(tokenizer)


def test_scores_of_tokens_are_scores_of_texts(tmp_path: Path) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    docs = ["red cat", "", "the blue dog sits under the tree " * 9, "bird"]
    query, *tokens = ranker.tokens(["who sits", *docs])
    assert ranker.score(query, tokens) == ranker.score("who sits", docs)
    assert ranker.score("who sits", [tokens[0], docs[1], tokens[2].astype(np.uint16), docs[3]]) == (
        ranker.score("who sits", docs)
    )


def test_a_length_without_room_for_query_and_doc_is_refused(tmp_path: Path) -> None:
    """Three special tokens: of 4 one is left, which cannot hold a query and a doc."""
    for max_length in (1, 3, 4):
        with pytest.raises(BadInput, match=f"max_length {max_length} leaves no room"):
            tiny.cross_encoder(tmp_path / str(max_length), max_length=max_length)
    assert len(tiny.cross_encoder(tmp_path, max_length=5).score("red", ["cat"])) == 1
