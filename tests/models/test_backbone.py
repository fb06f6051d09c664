"""Freezing: which weights a part is, and that exactly these stay as they are."""

import re
from pathlib import Path

import pytest
import transformers

from rankscope.core.errors import BadInput
from rankscope.models import backbone, freezing
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location
from rankscope.train.loop import fit
from rankscope.train.movement import frozen
from support import tiny
from support.training import objective, recipe

EMBEDDINGS = r"embeddings\."
LOWEST = r"(embeddings\.|layers?\.0\.)"
IN_ENCODER = r"^(bert|roberta|electra|distilbert)\.(?!pooler)"
PARTS = {
    "position_embeddings": ((("position_embeddings",), 0), r"position_embeddings"),
    "embeddings": ((("embeddings",), 0), EMBEDDINGS),
    "encoder": ((("encoder",), 0), IN_ENCODER),
    "no layer": (((), 0), r"$^"),
    "the lowest layer": (((), 1), LOWEST),
    "both layers": (((), 2), r"(embeddings\.|layers?\.\d\.)"),
    "positions and a layer": ((("position_embeddings",), 1), LOWEST),
}


@pytest.mark.parametrize("architecture", ["bert", "roberta", "electra", "distilbert"])
@pytest.mark.parametrize("part", PARTS)
def test_exactly_the_frozen_weights_stay_as_they_are(
    tmp_path: Path, architecture: str, part: str
) -> None:
    """Two updates at a high rate, by a loss that moves even the last bias."""
    (names, n_layers), expected = PARTS[part]
    ranker = tiny.cross_encoder(tmp_path, architecture)
    before = {n: w.detach().numpy().tobytes() for n, w in ranker.model.named_parameters()}
    still = freezing.frozen_weights(ranker.model, names, n_layers)
    with frozen(still):
        fit(
            ranker.model,
            objective(ranker, "pointwise_binary_cross_entropy"),
            recipe(max_updates=2, warmup=0.0),
            checkpoints=tmp_path / "w",
        )
    unmoved = {
        n for n, w in ranker.model.named_parameters() if w.detach().numpy().tobytes() == before[n]
    }
    asked = {name for name in before if re.search(expected, name)}
    assert bool(asked) == (part != "no layer")
    assert unmoved == asked
    assert all(weight.requires_grad for weight in ranker.model.parameters())


def test_what_feeds_a_frozen_layer_is_frozen_too(tmp_path: Path) -> None:
    """ELECTRA widens its embeddings by a matrix of its own."""
    config = transformers.ElectraConfig(**tiny.SMALL, embedding_size=16, vocab_size=64)
    model = transformers.ElectraForSequenceClassification(config)
    still = {id(weight) for weight in freezing.frozen_weights(model, (), 1)}
    loose = {n for n, w in model.named_parameters() if id(w) not in still}
    assert not [name for name in loose if "embeddings" in name]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_more_layers_than_there_are_cannot_be_frozen(tmp_path: Path, architecture: str) -> None:
    model = tiny.cross_encoder(tmp_path, architecture).model
    n_all = len(freezing.frozen_weights(model, (), 2))
    assert n_all > len(freezing.frozen_weights(model, (), 1)) > 0
    with pytest.raises(
        BadInput, match=r"freeze_layers: 3 layers cannot be frozen, as \w+ has 2 layers"
    ):
        freezing.frozen_weights(model, (), 3)


def test_layers_that_share_their_weights_cannot_be_frozen_singly() -> None:
    """ALBERT has one set of weights for all its layers."""
    config = transformers.AlbertConfig(**tiny.SMALL, embedding_size=16, vocab_size=64)
    model = transformers.AlbertForSequenceClassification(config)
    with pytest.raises(BadInput, match="AlbertModel has no layers of their own weights"):
        freezing.frozen_weights(model, (), 1)


def test_a_tied_or_twice_named_weight_is_listed_once(tmp_path: Path) -> None:
    model = tiny.cross_encoder(tmp_path).model
    found = freezing.frozen_weights(model, ("position_embeddings", "embeddings", "encoder"), 2)
    assert len({id(weight) for weight in found}) == len(found)


def test_with_the_encoder_frozen_pooler_and_classifier_are_left_to_train(tmp_path: Path) -> None:
    where = Location("m", tiny.save_encoder(tmp_path / "m"))
    ranker = CrossEncoder.from_backbone(backbone.load_scorer(where, seed=1), max_length=32)
    with frozen(freezing.frozen_weights(ranker.model, ("encoder",), 0)):
        trained = {n for n, w in ranker.model.named_parameters() if w.requires_grad}
    assert {name.rsplit(".", 1)[0] for name in trained} == {"bert.pooler.dense", "classifier"}
