import math

import pytest
import torch

from rankscope.train import facts
from rankscope.train.losses import LOSSES, localized_contrastive, ranknet

MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])
LABELS = torch.tensor([[2.0, 1.0, 0.0, 9.0], [0.0, 1.0, 9.0, 9.0]])


def test_right_pairs_by_hand() -> None:
    """Of the pairs (0,1), (0,2), (1,2) one is right, one tied, one wrong; of the other query, right."""
    scores = torch.tensor([[1.0, 1.0, 0.0, 9.0], [-1.0, 3.0, 9.0, 9.0]])
    assert facts.right_pairs(scores, LABELS, MASK).value == pytest.approx((0.5 + 1 + 1 + 1) / 4)


def test_right_pairs_know_nothing_of_how_far_scores_are_apart() -> None:
    scores = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    near, far = (facts.right_pairs(factor * scores, LABELS, MASK).value for factor in (0.01, 100.0))
    assert near == far
    assert facts.right_pairs(torch.zeros(2, 4), LABELS, MASK).value == 0.5
    assert facts.right_pairs(scores, torch.ones(2, 4), MASK).value == 0.5, (
        "no pair: nothing is known"
    )


def test_chance_by_hand() -> None:
    """Equal scores: ln(group size) for the contrastive loss, ln 2 for pairs."""
    scores, mask = torch.tensor([[3.0, 1.0, 2.0]]), torch.ones(1, 3, dtype=torch.bool)
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    for loss, chance in ((localized_contrastive, math.log(3)), (ranknet, math.log(2))):
        found = facts.seen(loss, scores, labels, mask)
        assert found.chance.item() == pytest.approx(chance)
        assert found.right_pairs.value == 1


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_below_chance_where_the_order_is_right(name: str) -> None:
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    for sign, is_below in ((1, True), (-1, False)):
        scores = sign * labels
        chance = facts.chance(LOSSES[name], scores, labels, mask)
        assert (LOSSES[name](scores, labels, mask) < chance) == is_below


def test_ties_by_hand() -> None:
    """2, 2, 1: one of two neighbours is tied; 5, 4: none; the padding is no neighbour."""
    scores = torch.tensor([[2.0, 1.0, 2.0, 0.0], [4.0, 5.0, 4.0, 4.0]])
    assert facts.tied_share(scores, MASK).value == pytest.approx(1 / 3)
    assert facts.tied_share(torch.zeros(2, 4), MASK).value == 1
    assert facts.tied_share(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)).value == 0
