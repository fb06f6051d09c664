import math

import pytest
import torch
from torch import nn

from rankscope.core.errors import TrainingStopped
from rankscope.train import guards


def weights(scale: float = 0.04) -> nn.Parameter:
    generator = torch.Generator().manual_seed(0)
    return nn.Parameter(scale * torch.randn(1000, generator=generator))


def test_the_released_second_stage_learning_rate_is_stopped() -> None:
    """6e-12 against weights of BERT's scale: study B's optimizer_s2.yaml (papers.md B.7-1)."""
    with pytest.raises(
        TrainingStopped, match=r"learning rate 6e-12 cannot move the weights: for 9\d"
    ):
        guards.can_move([weights()], 6e-12)


@pytest.mark.parametrize("learning_rate", [1e-8, 1e-5])
def test_rates_that_move_weights_pass(learning_rate: float) -> None:
    guards.can_move([weights()], learning_rate)


def test_nothing_trainable_is_stopped() -> None:
    with pytest.raises(TrainingStopped, match="everything is frozen"):
        guards.can_move([], 1e-5)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf)])
def test_numbers_that_are_not_finite_are_stopped(loss: float, norm: float) -> None:
    guards.finite(1.0, 1.0, 3)
    with pytest.raises(TrainingStopped, match="at update 3"):
        guards.finite(loss, norm, 3)


def test_collapse_is_stopped_only_when_it_lasts() -> None:
    guards.not_collapsed([0.0] * 2, 20)
    guards.not_collapsed([0.0] * 2 + [0.1], 30)
    with pytest.raises(TrainingStopped, match="scores have collapsed"):
        guards.not_collapsed([1.0] + [0.0] * 3, 40)


def test_displacement_by_hand() -> None:
    """Weights (3, 4) moved by (0.3, 0.4): 0.5 / 5 = 0.1; the head from 1 to 1: 0."""

    class Model(nn.Module):
        base_model_prefix = "encoder"

        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.ParameterDict({"w": nn.Parameter(torch.tensor([3.0, 4.0]))})
            self.head = nn.Parameter(torch.tensor([1.0]))

    model = Model()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        model.encoder["w"].add_(torch.tensor([0.3, 0.4]))
    moved = guards.displacement(before, model)
    assert moved["backbone"] == pytest.approx(0.1)
    assert moved["head"] == 0
    assert moved["all"] == pytest.approx(0.5 / math.sqrt(26))
    assert moved["changed_share"] == pytest.approx(2 / 3)
    guards.has_moved(moved, 1e-5)
    with pytest.raises(TrainingStopped, match="changed nothing"):
        guards.has_moved({"all": 0.0, "changed_share": 0.005}, 6e-12)
