"""Embeddings' gradients by row: PyTorch's own to the bit, of passes in a row, and of the copy's own table in a copy."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rankscope.models.fast import lengths
from rankscope.train import embeddings
from rankscope.train.embeddings import gradients_by_row
from rankscope.train.loop import fit
from support import tiny, training

RNG = torch.Generator().manual_seed(1)
PASSES = [torch.randint(0, 50, (4, 9), generator=RNG) for _ in range(3)]
WEIGHTS = [torch.randn(4, 9, 8, generator=RNG) for _ in PASSES]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "SMALLEST", 1)


def accumulated(table: nn.Embedding) -> tuple[list[Tensor], Tensor]:
    """What the table gives, and its gradient by two backward passes: of the last two reads together, and of the first."""
    table.zero_grad()
    gave = [table(ids) for ids in PASSES]
    first, second, third = ((a * b).sum() for a, b in zip(gave, WEIGHTS, strict=True))
    first.backward()
    (second + third).backward()
    assert table.weight.grad is not None
    return gave, table.weight.grad.clone()


@pytest.mark.parametrize("padding", [None, 0, 7])
def test_outputs_and_gradients_are_pytorchs_to_the_bit(padding: int | None) -> None:
    table = nn.Embedding(50, 8, padding_idx=padding)
    expected, whole = accumulated(table)
    with gradients_by_row(nn.Sequential(table)):
        gave, by_row = accumulated(table)
        assert "forward" in vars(table)
        with torch.no_grad():
            assert not table(PASSES[0]).requires_grad
    assert "forward" not in vars(table)
    assert all(torch.equal(*pair) for pair in zip(gave, expected, strict=True))
    assert torch.equal(by_row, whole)
    if padding is not None:
        assert not by_row[padding].any()


def test_a_copy_reads_its_own_table_and_a_frozen_one_gets_no_gradient() -> None:
    table = nn.Embedding(50, 8)
    with gradients_by_row(table):
        copy = deepcopy(table).requires_grad_(False)
        with torch.no_grad():
            copy.weight += 1
        assert torch.equal(copy(PASSES[0]), table(PASSES[0]) + 1)
        assert not copy(PASSES[0]).requires_grad
    assert "forward" not in vars(table)


@pytest.mark.parametrize("how", [{"sparse": True}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}])
def test_tables_with_ways_of_their_own_are_left_alone(how: dict[str, bool | float]) -> None:
    table = nn.Embedding(50, 8, **how)  # type: ignore[arg-type]
    with gradients_by_row(table):
        assert "forward" not in vars(table)


def test_a_small_table_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "SMALLEST", 401)
    table = nn.Embedding(50, 8)
    with gradients_by_row(table):
        assert "forward" not in vars(table)


def test_several_processes_leave_it_to_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    table = nn.Embedding(50, 8)
    with gradients_by_row(table):
        assert "Embedding" in type(table(PASSES[0]).grad_fn).__name__


def test_a_table_that_is_also_the_head_gets_both_gradients() -> None:
    table = nn.Embedding(50, 8)

    def gradient() -> Tensor:
        table.zero_grad()
        (table(PASSES[0]) @ table.weight.T).square().sum().backward()
        assert table.weight.grad is not None
        return table.weight.grad.clone()

    expected = gradient()
    with gradients_by_row(table):
        torch.testing.assert_close(gradient(), expected)


@pytest.mark.parametrize("memory", ["plain", "grad_cache", "gradient_checkpointing"])
def test_a_training_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    """Two batches an update, several passes a batch."""
    monkeypatch.setitem(lengths.TOKENS_PER_BATCH, "cpu", 24)
    ends, added = [], []
    add = embeddings._add
    monkeypatch.setattr(embeddings, "_add", lambda *given: added.append(1) or add(*given))
    for smallest in (1 << 40, 1):
        assert not added
        monkeypatch.setattr(embeddings, "SMALLEST", smallest)
        ranker = tiny.cross_encoder(tmp_path)
        fit(
            ranker.model,
            training.objective(ranker),
            training.recipe(memory=memory),
            checkpoints=tmp_path / f"{memory}{smallest}",
        )
        ends.append({name: w.clone() for name, w in ranker.model.state_dict().items()})
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert len(added) > training.recipe().max_updates, "the loop trains by row"
