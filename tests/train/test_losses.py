import math

import pytest
import torch

from rankscope.core.errors import EmptyBatch
from rankscope.train.losses import LOSSES, Loss, grid, localized_contrastive, ranknet, spread

REAL = torch.ones(1, 3, dtype=torch.bool)
LABELS = torch.tensor([[1.0, 0.0, 0.0]])


def test_ranknet_by_hand() -> None:
    """labels 1,0,0 leave two pairs, with margins 2-1 and 2-0; the loss is the mean of ln(1+e^-margin)."""
    loss = ranknet(torch.tensor([[2.0, 1.0, 0.0]]), LABELS, REAL)
    assert loss.item() == pytest.approx(
        (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 2
    )


def test_ranknet_of_a_teachers_order_counts_every_pair_once() -> None:
    """labels 3,2,1: pairs (0,1), (0,2), (1,2) with margins -1, 1, 2."""
    loss = ranknet(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[3.0, 2.0, 1.0]]), REAL)
    expected = sum(math.log(1 + math.exp(-margin)) for margin in (-1, 1, 2)) / 3
    assert loss.item() == pytest.approx(expected)


def test_localized_contrastive_by_hand() -> None:
    """-ln(e^2 / (e^2 + e^1 + e^0))."""
    loss = localized_contrastive(torch.tensor([[2.0, 1.0, 0.0]]), LABELS, REAL)
    assert loss.item() == pytest.approx(-math.log(math.e**2 / (math.e**2 + math.e + 1)))


def test_localized_contrastive_is_the_mean_over_queries() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    mask = torch.ones(2, 3, dtype=torch.bool)
    first = localized_contrastive(scores[:1], labels[:1], mask[:1])
    assert localized_contrastive(scores, labels, mask).item() == pytest.approx(
        (first.item() + math.log(3)) / 2
    )


@pytest.mark.parametrize("labels", [[[0.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]])
def test_a_query_without_its_one_positive_is_refused(labels: list[list[float]]) -> None:
    with pytest.raises(EmptyBatch, match="exactly one positive"):
        localized_contrastive(torch.zeros(1, 3), torch.tensor(labels), REAL)


def test_labels_that_are_all_equal_give_nothing_to_rank() -> None:
    with pytest.raises(EmptyBatch, match="nothing to rank"):
        ranknet(torch.zeros(1, 3), torch.zeros(1, 3), REAL)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_contract_of_every_loss(loss: Loss) -> None:
    right, wrong = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    mask = torch.tensor([[True, True, True, False]])
    scores, labels = (torch.cat([t, torch.full((1, 1), 99.0)], dim=1) for t in (right, LABELS))
    assert loss(right, LABELS, REAL) < loss(wrong, LABELS, REAL), "rewards the right order"
    torch.testing.assert_close(loss(right + 7, LABELS, REAL), loss(right, LABELS, REAL))
    torch.testing.assert_close(loss(scores, labels, mask), loss(right, LABELS, REAL))
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        loss(right[:, order], LABELS[:, order], REAL), loss(right, LABELS, REAL)
    )


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_are_those_of_finite_differences(loss: Loss) -> None:
    scores = torch.tensor(
        [[0.3, -0.2, 1.1], [0.5, 0.4, -2.0]], dtype=torch.float64, requires_grad=True
    )
    labels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert torch.autograd.gradcheck(lambda s: loss(s, labels, mask), scores)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_padding_gets_no_gradient(loss: Loss) -> None:
    scores = torch.tensor([[0.3, -0.2, 1.1]], requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    loss(scores, LABELS, mask).backward()
    assert scores.grad is not None
    assert scores.grad[0, 2] == 0
    assert scores.grad[0, 0] != 0


def test_spread_by_hand_ignores_padding() -> None:
    """Scores 1, 3 have the standard deviation 1; a query of equal scores has 0; the mean is 0.5."""
    scores = torch.tensor([[1.0, 3.0, 99.0], [2.0, 2.0, 2.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert spread(scores, mask) == pytest.approx(0.5)


def test_grid_puts_values_row_by_row() -> None:
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert grid(torch.arange(1.0, 6.0), mask).tolist() == [[1, 2, 0], [3, 4, 5]]
