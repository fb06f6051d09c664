from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel

from rankscope.train.dropout import (
    AT_ONCE,
    attention,
    dropout,
    fast_dropout,
    kept,
    seed_dropout,
    set_dropout,
)
from support import tiny


def test_a_value_is_dropped_with_its_chance_and_the_mean_stays() -> None:
    """Of a million, 10 % within 5 standard errors (0.03 % each); kept are scaled by 65536/58982."""
    torch.manual_seed(1)
    found = dropout(torch.ones(1000, 1000), 0.1)
    assert float((found == 0).float().mean()) == pytest.approx(0.1, abs=0.0015)
    assert found.unique().tolist() == [0.0, pytest.approx(65536 / 58982)]
    for lane in range(4):  # each of the four values that share a number
        assert float((found.view(-1, 4)[:, lane] == 0).float().mean()) == pytest.approx(
            0.1, abs=0.003
        )


def test_neighbours_are_dropped_apart_from_each_other() -> None:
    torch.manual_seed(2)
    mask, _ = kept(torch.Size([250_000, 4]), 0.5, torch.float32)
    together = torch.corrcoef(mask.T)
    assert float((together - torch.eye(4)).abs().max()) < 0.01


@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 5, 2)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        mask, _ = kept(torch.Size(shape), 0.3, dtype)
        assert (mask.shape, mask.dtype) == (shape, dtype)
        assert {0.0, 1.0}.issuperset(mask.flatten().tolist())


def test_the_seed_draws_the_mask_and_the_gradient_goes_through_it() -> None:
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values = torch.ones(64, requires_grad=True)
        found = dropout(values, 0.5)
        found.sum().backward()
        assert torch.equal(values.grad, found.detach())  # type: ignore[arg-type]
        masks.append(found.detach())
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_model_without_dropout_is_unchanged_and_one_with_is_given_back(
    tmp_path: Path, architecture: str
) -> None:
    """Attention by our function and chance 0 is the model's own; in training values are dropped."""
    ranker = tiny.cross_encoder(tmp_path, architecture)
    pairs = ranker.pairs([("who sits", ["red cat", "the blue dog sits under the tree"])])
    ranker.model.eval()
    expected = ranker.logits(ranker.model, pairs)
    modules = [module for module in ranker.model.modules() if type(module) is nn.Dropout]
    with fast_dropout(ranker.model):
        assert torch.allclose(ranker.logits(ranker.model, pairs), expected, atol=1e-6)
        ranker.model.train()
        noisy = [ranker.logits(ranker.model, pairs) for _ in range(2)]
        if any(module.p for module in modules):
            assert not torch.equal(*noisy)
    assert not any("forward" in vars(module) for module in modules)
    assert ranker.model.config._attn_implementation != "rankscope_dropout"  # type: ignore[union-attr]
    assert torch.equal(ranker.logits(ranker.model.eval(), pairs), expected)


def test_the_mean_over_many_draws_is_the_model_without_dropout(tmp_path: Path) -> None:
    """Of attention alone, which is linear in its dropped weights: 400 draws, 5 standard errors."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 6, 8).unbind()
    is_seen = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    is_seen[1, :, :, 4:] = False
    module = nn.Module()
    expected, _ = attention(module, query, key, value, is_seen)
    drawn = torch.stack(
        [attention(module, query, key, value, is_seen, dropout=0.1)[0] for _ in range(400)]
    )
    error = drawn.std(0) / 20
    assert ((drawn.mean(0) - expected).abs() <= 5 * error + 1e-6).all()


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("masked", ["nothing", "all seen", "padding", "a whole row"])
@pytest.mark.parametrize(("n_texts", "n_tokens"), [(1, 5), (1, 400), (7, 5), (7, 190)])
def test_attention_by_hand_has_the_bits_of_its_operations_one_after_the_other(
    n_texts: int, n_tokens: int, masked: str, first_only: bool
) -> None:
    """Values and gradients; texts in one part and in several, all queries and the first token's alone."""
    heads, width = 4, 8
    assert (n_tokens > 5) == (n_texts * heads * n_tokens**2 > AT_ONCE)
    torch.manual_seed(3)
    texts = torch.randn(3, n_texts, n_tokens, heads, width).transpose(2, 3)  # as projections give
    query, key, value = (each.clone().requires_grad_() for each in texts)
    first = query[:, :, :1] if first_only else query
    is_seen = torch.ones(n_texts, 1, first.shape[2], n_tokens, dtype=torch.bool)
    if masked == "padding":
        is_seen[-5:-3, ..., 3:] = False
    if masked == "a whole row":
        is_seen[-1, :, -1] = False
    gave, _ = attention(
        nn.Module(), first, key, value, None if masked == "nothing" else is_seen, dropout=0.3
    )
    upstream = torch.randn_like(gave)
    gradients = torch.autograd.grad(gave, (query, key, value), upstream)

    torch.manual_seed(3)
    torch.randn(3, n_texts, n_tokens, heads, width)
    mask, scale = kept(torch.Size([n_texts, heads, first.shape[2], n_tokens]), 0.3, torch.float32)
    scores = ((first * width**-0.5) @ key.mT).masked_fill(~is_seen, torch.finfo(torch.float32).min)
    expected = ((scores.softmax(-1) * mask) @ (value * scale)).transpose(1, 2)
    assert torch.equal(gave, expected)
    for found, wanted in zip(
        gradients, torch.autograd.grad(expected, (query, key, value), upstream), strict=True
    ):
        assert torch.equal(found, wanted)


def test_attention_by_hand_gives_no_gradient_where_none_is_needed() -> None:
    query, key, value = torch.randn(3, 2, 4, 6, 8)
    gave, _ = attention(nn.Module(), query.requires_grad_(), key, value, None, dropout=0.3)
    gave.sum().backward()
    assert query.grad is not None
    assert key.grad is value.grad is None


def test_attention_in_bfloat16_and_with_numbers_for_a_mask_is_by_pytorchs_derivatives() -> None:
    """Autocast chooses a type for each operation, and a bias of positions may learn."""
    torch.manual_seed(4)
    query, key, value = (each.requires_grad_() for each in torch.randn(3, 2, 4, 6, 8))
    bias = torch.zeros(1, 4, 6, 6, requires_grad=True)
    gave, _ = attention(nn.Module(), query, key, value, bias, dropout=0.3)
    gave.square().sum().backward()
    assert bias.grad is not None
    assert float(bias.grad.abs().max()) > 0
    with torch.autocast("cpu", torch.bfloat16):
        narrow, _ = attention(nn.Module(), query, key, value, None, dropout=0.3)
    assert narrow.dtype == torch.bfloat16


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_model_without_dropout_gives_in_training_what_it_gives_elsewhere(
    tmp_path: Path, kind: str
) -> None:
    model = AutoModel.from_pretrained(tiny.save_encoder(tmp_path, kind))
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    set_dropout(model, 0.3)
    model.train()
    assert not torch.equal(*(model(input_ids=ids).last_hidden_state for _ in range(2)))
    set_dropout(model, 0.0)
    with fast_dropout(model):
        found = model(input_ids=ids).last_hidden_state
    assert torch.allclose(found, model.eval()(input_ids=ids).last_hidden_state, atol=1e-6)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_seed_of_dropout_draws_as_torchs(monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    accelerators: list[int] = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: is_there)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", accelerators.append)
    with torch.random.fork_rng():
        seed_dropout(7)
        assert accelerators == ([7] if is_there else [])
        drawn = torch.rand(3)
        assert torch.initial_seed() == 7
        torch.manual_seed(7)
        assert torch.equal(torch.rand(3), drawn)
