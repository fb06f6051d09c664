import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rankscope.models import adapters
from rankscope.train import movement
from support import tiny


def weights(scale: float = 0.04, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    generator = torch.Generator().manual_seed(0)
    return nn.Parameter((scale * torch.randn(1000, generator=generator)).to(dtype))


def test_the_released_second_stage_learning_rate_cannot_move_weights() -> None:
    """6e-12 against weights of BERT's scale: study B's optimizer_s2.yaml."""
    found = movement.stuck([weights()], 6e-12)
    assert found is not None
    assert found.startswith("The learning rate 6e-12 cannot move the weights: for 9")
    assert "next float32 number. Raise `learning_rate`" in found


@pytest.mark.parametrize("learning_rate", [1e-8, 1e-5])
def test_rates_that_move_weights_pass(learning_rate: float) -> None:
    assert movement.stuck([weights()], learning_rate) is None


def test_what_moves_a_weight_depends_on_its_precision() -> None:
    """At 0.04 the next bfloat16 number is 2^-12 away, so 1e-5 is lost; 1e-3 is not."""
    found = movement.stuck([weights(dtype=torch.bfloat16)], 1e-5)
    assert found is not None
    assert "next bfloat16 number. Keep the weights in float32" in found
    assert movement.stuck([weights(dtype=torch.bfloat16)], 1e-3) is None


def test_nothing_trainable_is_said() -> None:
    assert "everything is frozen" in (movement.stuck([], 1e-5) or "")


def test_weights_without_gradient_are_named() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "unused": nn.Linear(2, 1)})
    model["used"](torch.ones(1, 2)).sum().backward()
    assert (movement.without_gradient(model) or "").startswith(
        "2 of 4 trainable weights get no gradient (first: unused.weight)"
    )
    model["unused"].requires_grad_(False)
    assert movement.without_gradient(model) is None


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_frozen_head_is_seen_in_every_architecture(architecture: str, tmp_path: Path) -> None:
    model = tiny.cross_encoder(tmp_path, architecture).model
    assert movement.head_frozen(model) is None
    for name, weight in model.named_parameters():
        weight.requires_grad_("classifier" not in name)
    assert "scoring head is frozen" in (movement.head_frozen(model) or "")
    model.requires_grad_(False)
    assert movement.head_frozen(model) is None, "nothing trained at all is another guard's"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # by peft
def test_a_head_under_lora_is_trained_unless_peft_is_told_otherwise(tmp_path: Path) -> None:
    lora = adapters.LoRA(rank=2, alpha=4, dropout=0.0, targets=("query",))
    ranker = tiny.cross_encoder(tmp_path)
    adapted = adapters.adapted(ranker.model, lora, base=tmp_path / "bert", seed=1)
    assert movement.head_frozen(adapted) is None
    for name, weight in adapted.named_parameters():
        weight.requires_grad_("lora_" in name)
    assert "`modules_to_save`" in (movement.head_frozen(adapted) or "")


def test_displacement_under_lora_tells_adapters_of_the_encoder_from_the_head(
    tmp_path: Path,
) -> None:
    lora = adapters.LoRA(rank=2, alpha=4, dropout=0.0, targets=("query",))
    ranker = tiny.cross_encoder(tmp_path)
    adapted = adapters.adapted(ranker.model, lora, base=tmp_path / "bert", seed=1)
    before = {n: w.detach().clone() for n, w in adapted.named_parameters() if w.requires_grad}
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.add_(1.0)
    moved = movement.displacement(before, adapted)
    assert moved["backbone"] > 0
    assert moved["head"] == 0


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
    moved = movement.displacement(before, model)
    assert moved["backbone"] == pytest.approx(0.1)
    assert moved["head"] == 0
    assert moved["all"] == pytest.approx(0.5 / math.sqrt(26))
    assert moved["changed_share"] == pytest.approx(2 / 3)
    assert movement.unmoved(moved, 1e-5) is None
    found = movement.unmoved({"all": 0.0, "changed_share": 0.005}, 6e-12)
    assert "left 99.5% of the trained weights as they were" in (found or "")
