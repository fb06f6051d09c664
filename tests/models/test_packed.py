"""Packed weights: the same numbers, only without gradients, and never where somebody looks or replaces."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rankscope.models.fast import packed, precision
from rankscope.models.fast.packed import packed_weights
from rankscope.models.fast.precision import narrowed
from rankscope.models.interventions import recorded, replaced
from support import tiny

DOCS = ["red cat", "the blue dog sits under the tree on a mat", "bird"]
MANY = 1_000_000
GELU_BLOCKS = {"bert", "roberta", "electra", "mpnet", "deberta-v2"}


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this processor had AVX-512; the products are the same with any instructions."""
    monkeypatch.setattr(packed, "is_by_onednn", lambda weight: weight.dtype == torch.float32)


def replaced_in(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if "forward" in vars(module)}


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_scores_are_the_same_up_to_rounding(tmp_path: Path, architecture: str) -> None:
    ranker = tiny.cross_encoder(tmp_path, architecture)
    exact = ranker.score("who sits", DOCS)
    with torch.inference_mode(), packed_weights(ranker.model, MANY):
        names = replaced_in(ranker.model)
        found = ranker.score("who sits", DOCS)
    assert names
    assert any(name.endswith("intermediate") for name in names) == (architecture in GELU_BLOCKS)
    assert found == pytest.approx(exact, abs=1e-6)
    assert not replaced_in(ranker.model)


@pytest.mark.parametrize("side", ["query", "document"])
def test_embeddings_are_the_same_up_to_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    ranker = tiny.bi_encoder(tmp_path)
    exact = ranker.embed(DOCS, side)  # type: ignore[arg-type]
    calls = []
    monkeypatch.setattr(packed, "FEWEST_TOKENS", 1)
    monkeypatch.setattr(
        packed, "_forward", lambda *made: calls.append(made) or packed_forward(*made)
    )
    found = ranker.embed(DOCS, side)  # type: ignore[arg-type]
    assert len(calls) >= 12
    torch.testing.assert_close(found, exact, atol=1e-6, rtol=0)


packed_forward = packed._forward


def test_pairs_are_scored_with_packed_weights_but_not_in_a_narrow_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranker = tiny.cross_encoder(tmp_path)
    exact = ranker.score("who sits", DOCS)
    calls: list[nn.Module] = []
    monkeypatch.setattr(packed, "FEWEST_TOKENS", 1)
    monkeypatch.setattr(
        packed, "_forward", lambda *made: calls.append(made[0]) or packed_forward(*made)
    )
    assert ranker.score("who sits", DOCS) == pytest.approx(exact, abs=1e-6)
    assert len(calls) > 12
    monkeypatch.setattr(precision, "require", lambda *_: None)
    calls.clear()
    with pytest.raises(RuntimeError), narrowed(ranker.model, "int8"):
        narrow = ranker.score("who sits", DOCS)
        raise RuntimeError
    assert all(dense is ranker.model.bert.pooler.dense for dense in calls)  # type: ignore[union-attr]
    assert narrow != exact
    assert not replaced_in(ranker.model)


def test_a_model_whose_configuration_counts_no_layers_is_scored(tmp_path: Path) -> None:
    """T5Gemma's and others' have none."""
    model = tiny.cross_encoder(tmp_path).model
    del model.config.num_hidden_layers  # type: ignore[union-attr]
    with packed_weights(model, MANY):
        assert replaced_in(model)


def test_what_is_replaced_or_recorded_stays_so(tmp_path: Path) -> None:
    model = tiny.cross_encoder(tmp_path).model
    layers = model.bert.encoder.layer  # type: ignore[union-attr]
    first, second = layers
    nothing = replaced({first.intermediate.dense: lambda given: given.new_zeros(3)})
    with nothing, packed_weights(model, MANY):
        names = replaced_in(model)
        assert first.intermediate.dense(torch.zeros(1)).tolist() == [0.0] * 3
    assert "bert.encoder.layer.0.intermediate" not in names
    assert "bert.encoder.layer.1.intermediate" in names
    with recorded([second.output.dense, second.intermediate.dense]), packed_weights(model, MANY):
        names = replaced_in(model)
    assert not {f"bert.encoder.layer.1.{name}.dense" for name in ("output", "intermediate")} & names
    assert "bert.encoder.layer.1.intermediate" not in names
    assert "bert.encoder.layer.0.intermediate" in names


def test_few_tokens_large_models_and_other_types_are_read_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.cross_encoder(tmp_path).model
    for given, n_tokens in ((model, packed.FEWEST_TOKENS - 1), (model.to(torch.bfloat16), MANY)):
        with packed_weights(given, n_tokens):
            assert not replaced_in(given)
    model.to(torch.float32)
    monkeypatch.setattr(packed, "MOST_BYTES", 1_000)
    with packed_weights(model, MANY):
        assert not replaced_in(model)


def test_a_model_in_shards_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny.cross_encoder(tmp_path).model
    monkeypatch.setattr(packed.processes, "is_sharded", lambda given: given is model)
    with packed_weights(model, MANY):
        assert not replaced_in(model)


def test_another_activation_is_computed_by_itself(tmp_path: Path) -> None:
    model = tiny.cross_encoder(tmp_path).model
    layer = model.bert.encoder.layer[0]  # type: ignore[union-attr]
    layer.intermediate.intermediate_act_fn = nn.ReLU()
    with packed_weights(model, MANY):
        names = replaced_in(model)
    assert "bert.encoder.layer.0.intermediate" not in names
    assert "bert.encoder.layer.0.intermediate.dense" in names
