"""Embeddings' gradients by row: PyTorch's own to the bit, of passes in a row, and of the copy's own table in a copy."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from rankscope.train import embeddings
from rankscope.train.embeddings import gradients_by_row

RNG = torch.Generator().manual_seed(1)
PASSES = [torch.randint(0, 50, (4, 9), generator=RNG) for _ in range(3)]
WEIGHTS = [torch.randn(4, 9, 8, generator=RNG) for _ in PASSES]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "SMALLEST", 1)


def accumulated(table: nn.Embedding) -> tuple[list[Tensor], Tensor]:
    """What the table gives in each pass, and the gradient of all."""
    table.zero_grad()
    gave = []
    for ids, weight in zip(PASSES, WEIGHTS, strict=True):
        found = table(ids)
        (found * weight).sum().backward()
        gave.append(found.detach())
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
    assert all(map(torch.equal, gave, expected))
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


def test_several_processes_leave_it_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    table = nn.Embedding(50, 8)
    with gradients_by_row(table):
        assert "forward" not in vars(table)
