"""The contract of rankers that are trained and looked into: each answers every method, and means the same by it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rankscope.models import anatomy
from rankscope.models.adapters import LoRA
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.opening import open_trainable
from rankscope.models.ranker import PAIR, Ranker, TrainableRanker
from support import tiny

KINDS = ("cross-encoder", "one tower", "two towers")
QUERIES, DOCS = ["who sits", "what is the red cat on"], ["the red cat sits", "a dog"]
ASKED = [(query, DOCS) for query in QUERIES]


@pytest.fixture(params=KINDS)
def ranker(request: pytest.FixtureRequest, tmp_path: Path) -> TrainableRanker:
    if request.param == "cross-encoder":
        return tiny.cross_encoder(tmp_path)
    one = tiny.bi_encoder(tmp_path)
    return one if request.param == "one tower" else one.separated()


def texts(side: str) -> list[Any]:
    if side == PAIR:
        return list(zip(QUERIES, DOCS, strict=True))
    return QUERIES if side == "query" else DOCS


def test_each_answers_every_method(ranker: TrainableRanker) -> None:
    asked = {name for kind in (Ranker, TrainableRanker) for name in vars(kind)}
    asked = {name for name in asked if not name.startswith("_")}
    assert len(asked) > 25
    assert [name for name in sorted(asked) if not hasattr(ranker, name)] == []


def test_states_are_of_every_layer_and_the_same_alone(ranker: TrainableRanker) -> None:
    ranker.model.eval()
    for side in ranker.sides:
        inputs = ranker.inputs(texts(side), side)
        assert all(len(each.ids) <= ranker.most_tokens(side) for each in inputs)
        with torch.inference_mode():
            states, mask = ranker.hidden_states(inputs, side)
            alone, _ = ranker.hidden_states(inputs[1:], side)
        longest = max(len(each.ids) for each in inputs)
        assert [tuple(each.shape) for each in states] == [
            (2, longest, ranker.hidden_width(side))
        ] * (ranker.n_layers(side) + 1)
        assert mask.sum(1).tolist() == [len(each.ids) for each in inputs]
        n = len(inputs[1].ids)
        for together, by_itself in zip(states, alone, strict=True):
            torch.testing.assert_close(together[1, :n], by_itself[0], atol=1e-5, rtol=1e-4)


def test_what_reads_a_side_is_in_the_model(ranker: TrainableRanker) -> None:
    inside = {id(module) for module in ranker.model.modules()}
    for side in ranker.sides:
        assert len(anatomy.layers(ranker.encoder(side))) == ranker.n_layers(side)
        assert {id(module) for module in ranker.modules(side)} <= inside
        assert ranker.pooling(side) in {"cls", "mean", "last"}


def test_random_weights_are_others_of_the_same_shapes(ranker: TrainableRanker) -> None:
    own = ranker.model.state_dict()
    drawn, again, other = (ranker.at_random(seed).model.state_dict() for seed in (1, 1, 2))
    assert {name: each.shape for name, each in drawn.items()} == {
        name: each.shape for name, each in own.items()
    }
    assert all(torch.equal(each, again[name]) for name, each in drawn.items())
    for compared in (own, other):
        assert any(not torch.equal(each, compared[name]) for name, each in drawn.items())


def test_frozen_layers_are_the_lowest_of_every_side(ranker: TrainableRanker) -> None:
    frozen = {id(weight) for weight in ranker.frozen_weights([], 1)}
    for side in ranker.sides:
        first, second = anatomy.layers(ranker.encoder(side))
        assert {id(weight) for weight in first.parameters()} <= frozen
        assert not {id(weight) for weight in second.parameters()} & frozen


def test_adapters_train_and_are_merged_and_saved(ranker: TrainableRanker, tmp_path: Path) -> None:
    """Their second matrix starts at 0, so a fresh adapter changes no score; a merged one keeps what it changed."""
    before = ranker.score_all(ASKED)
    ranker.save(tmp_path / "base")
    ranker.adapt(LoRA(rank=2, alpha=4.0, dropout=0.0, targets=()), base=tmp_path / "base", seed=1)
    assert torch.tensor(ranker.score_all(ASKED)) == pytest.approx(torch.tensor(before), abs=1e-5)
    trained = {name for name, weight in ranker.model.named_parameters() if weight.requires_grad}
    assert any("lora_B" in name for name in trained)
    assert not any(name.endswith("query.base_layer.weight") for name in trained)
    with torch.no_grad():
        for name, weight in ranker.model.named_parameters():
            if "lora_B" in name:
                weight.add_(0.1)
    changed = ranker.score_all(ASKED)
    assert torch.tensor(changed) != pytest.approx(torch.tensor(before), abs=1e-4)
    ranker.save_adapter(tmp_path / "adapter")
    assert list((tmp_path / "adapter").rglob("adapter_model.safetensors"))
    ranker.merge()
    ranker.save(tmp_path / "merged")
    again = open_trainable(tmp_path / "merged")
    assert type(again) is type(ranker)
    for scores in (ranker.score_all(ASKED), again.score_all(ASKED)):
        assert torch.tensor(scores) == pytest.approx(torch.tensor(changed), abs=1e-4)


@pytest.mark.parametrize(("n_words", "is_cut"), [(2, False), (60, True)])
def test_docs_that_are_cut_are_counted_and_told(
    ranker: TrainableRanker, n_words: int, is_cut: bool
) -> None:
    assert ranker.n_cut([("who sits", "cat " * n_words)] * 2) == 2 * is_cut
    assert str(ranker.most_tokens(ranker.sides[-1])) in ranker.cut_at


def test_only_one_that_has_vectors_compares_them(ranker: TrainableRanker) -> None:
    assert isinstance(ranker, CrossEncoder | BiEncoder)
    assert (ranker.compares_by is None) == (ranker.sides == (PAIR,)) == (ranker.joiner is not None)
