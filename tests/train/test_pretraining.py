from pathlib import Path

import torch
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


def objective(tokenizer: object) -> MaskedLanguageObjective:
    return MaskedLanguageObjective(
        tokenizer=tokenizer,
        n_docs=4,
        text=TEXTS.__getitem__,
        docs_per_update=3,
        max_length=16,
        seed=1,
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
