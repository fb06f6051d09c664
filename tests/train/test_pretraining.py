from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from rankscope.models import backbone, scratch
from rankscope.models.location import Location
from rankscope.train.loop import fit
from rankscope.train.objectives.pretraining import MaskedLanguageObjective
from rankscope.train.recipe import Recipe

TEXTS = [
    f"The {colour} cat sits on the {place}."
    for colour in ("red", "blue")
    for place in ("mat", "tree")
]


def test_the_vocabulary_has_characters_first_then_words_by_frequency() -> None:
    pieces = scratch.vocabulary(["b a b", "c"], 100)
    assert pieces == [*scratch.SPECIAL, "a", "b", "c", "##a", "##b", "##c"]
    words = scratch.vocabulary(TEXTS, 1000)
    assert words.index("the") < words.index("cat") < words.index("blue")
    assert len(scratch.vocabulary(TEXTS, 30)) == 30


def objective(tokenizer: object, **more: Any) -> MaskedLanguageObjective:
    return MaskedLanguageObjective(
        tokenizer=tokenizer,
        n_docs=4,
        text=TEXTS.__getitem__,
        docs_per_update=3,
        max_length=16,
        seed=1,
        **more,
    )


def test_every_doc_is_seen_once_an_epoch() -> None:
    made = objective(None)
    seen = [text for update in range(4) for (batch,) in [made.batches(update)] for text in batch]
    assert sorted(seen) == sorted(TEXTS * 3)


def test_special_tokens_are_never_hidden() -> None:
    tokenizer = scratch.tokenizer(scratch.vocabulary(TEXTS, 1000), 16)
    made = objective(tokenizer)
    ids = torch.full((50, 12), tokenizer.convert_tokens_to_ids("cat"))
    special = torch.zeros(50, 12, dtype=torch.bool)
    special[:, [0, 11]] = True
    torch.manual_seed(0)
    hidden, predicted = made._hidden(ids, special)
    assert not predicted[:, [0, 11]].any()
    assert 0.1 < predicted.float().mean() < 0.2
    assert (hidden[~predicted] == ids[~predicted]).all()
    masked = (hidden[predicted] == tokenizer.mask_token_id).float().mean()
    assert 0.6 < masked < 0.95


class Listening(nn.Module):
    """A model that keeps what it reads, and guesses evenly."""

    def __init__(self, n_pieces: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_pieces))
        self.read = torch.zeros(0)

    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        self.read = input_ids
        logits = self.weight.expand(*input_ids.shape, -1)
        return type("Output", (), {"logits": logits})


def read(texts: Sequence[str], **more: Any) -> list[list[str]]:
    """The tokens that a model reads of a batch, padding left out."""
    tokenizer = scratch.tokenizer(scratch.vocabulary(TEXTS, 1000), 16)
    made, model = objective(tokenizer, **more), Listening(len(tokenizer))
    torch.manual_seed(1)
    made.outcome(model, made.prepared(texts))
    rows = [tokenizer.convert_ids_to_tokens(row.tolist()) for row in model.read]
    return [[token for token in row if token[0] != "[" or token == "[MASK]"] for row in rows]


def test_a_salient_span_is_always_masked_as_a_whole() -> None:
    """A span is an interval of characters; "red cat" is two tokens, and no other is predicted at a share of 0."""
    text = "The red cat sits on the mat."
    seen = read([text] * 20, predicted=0.0, salient=lambda text: [[(4, 11)]])
    assert seen[1:] == [["the", "[MASK]", "[MASK]", "sits", "on", "the", "mat", "."]] * 19
    assert seen[0][1:] == seen[1][1:], "the first token of a batch is always predicted"


def test_one_of_several_salient_things_is_masked_wherever_it_stands() -> None:
    """Two things, the second named twice: each is masked in about half of the texts, never both."""
    text = "red cat mat cat"
    things = [[(0, 3)], [(4, 7), (12, 15)]]
    seen = [" ".join(row) for row in read([text] * 200, predicted=0.0, salient=lambda text: things)]
    first, second = "[MASK] cat mat cat", "red [MASK] mat [MASK]"
    assert set(seen[1:]) == {first, second}
    assert 70 < seen.count(first) < 130


def test_texts_without_salient_things_are_read_as_ever() -> None:
    usual = read(TEXTS * 5)
    assert read(TEXTS * 5, salient=lambda text: []) == usual
    assert sum(row.count("[MASK]") for row in usual) > 0


def test_pretraining_learns_and_its_model_is_a_backbone(tmp_path: Path) -> None:
    tokenizer = scratch.tokenizer(scratch.vocabulary(TEXTS, 1000), 16)
    model = scratch.masked_language_model(
        len(tokenizer), layers=1, width=16, heads=2, max_length=16, seed=3
    )
    recipe = Recipe(max_updates=60, learning_rate=1e-2, seed=1)
    trained = fit(model, objective(tokenizer), recipe, checkpoints=tmp_path / "work")
    losses = [row["loss"] for row in trained.log]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert "score_spread" not in trained.log[0]
    with backbone.quiet():
        model.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
    loaded = backbone.load_scorer(Location("m", tmp_path / "model"), seed=1)
    assert {name.split(".")[-2] for name in loaded.fresh} == {"classifier", "dense"}
    assert all(name.startswith("cls.") for name in loaded.unused)
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert again("the cat", "red").input_ids == tokenizer("the cat", "red").input_ids


def test_the_seed_draws_the_weights() -> None:
    shape = {"layers": 1, "width": 16, "heads": 2, "max_length": 16}
    first, again, other = (
        scratch.masked_language_model(20, **shape, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
